"""Stable-Baselines3's DQN on CartPole with CleanRL's settings, in environment steps/s and updates/s
of processor time, on one thread: what bench_dqn measures.

    python dqn_cartpole.py [zoo]       # with stable-baselines3 and gymnasium
"""
import sys
import time

import torch
from stable_baselines3 import DQN
from stable_baselines3.common.callbacks import BaseCallback

zoo = sys.argv[1:] == ["zoo"]
torch.set_num_threads(1)
start = 1000 if zoo else 10000
rounds = (256, 128) if zoo else (10, 1)
model = DQN(
    "MlpPolicy", "CartPole-v1",
    learning_rate=2.3e-3 if zoo else 2.5e-4,
    buffer_size=100000 if zoo else 10000,
    learning_starts=start,
    batch_size=64 if zoo else 128,
    train_freq=rounds[0], gradient_steps=rounds[1],
    target_update_interval=10 if zoo else 500,
    policy_kwargs=dict(net_arch=[256, 256] if zoo else [120, 84]),
    device="cpu", seed=1,
)


class Clock(BaseCallback):
    """Notes the processor time when learning begins."""

    def _on_step(self):
        if self.num_timesteps == start:
            self.begun = time.process_time()
        return True


clock = Clock()
total = start + (256 * 20 if zoo else 20000)
first = time.process_time()
model.learn(total, callback=clock)
seconds = time.process_time() - clock.begun
print(f"before learning   {start / (clock.begun - first):9.0f} steps/s")
print(f"while learning    {(total - start) / seconds:9.0f} steps/s  "
      f"{(total - start) // rounds[0] * rounds[1] / seconds:9.0f} updates/s")
