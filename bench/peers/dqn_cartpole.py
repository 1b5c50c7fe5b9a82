"""DQN on CartPole in environment steps/s and updates/s of processor time, on one thread, with the
settings and the share of random actions that bench_dqn has: what that program measures.

    python dqn_cartpole.py [--settings cleanrl|zoo] [--epsilon E] [--seconds S]

needs stable-baselines3 and gymnasium. "loop" is a plain PyTorch loop of CleanRL's form (its
settings only): the same network, update, replay buffer (Stable-Baselines3's) and vector environment
with recorded episode statistics.
"""
import argparse
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import DQN
from stable_baselines3.common.buffers import ReplayBuffer
from stable_baselines3.common.callbacks import BaseCallback
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--settings", choices=("cleanrl", "zoo"), default="cleanrl")
parser.add_argument("--epsilon", type=float, default=0.05)
parser.add_argument("--seconds", type=float, default=8)
options = parser.parse_args()
zoo = options.settings == "zoo"
torch.set_num_threads(1)
start = 1000 if zoo else 10000
steps, updates = (256, 128) if zoo else (10, 1)


def loop():
    torch.manual_seed(1)
    random = np.random.default_rng(1)
    environment = gymnasium.vector.SyncVectorEnv(
        [lambda: gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1"))],
        autoreset_mode=gymnasium.vector.AutoresetMode.SAME_STEP)
    actions_space = environment.single_action_space
    make = lambda: nn.Sequential(nn.Linear(4, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
                                 nn.Linear(84, 2))
    online, target = make(), make()
    target.load_state_dict(online.state_dict())
    optimizer = torch.optim.Adam(online.parameters(), lr=2.5e-4)
    memory = ReplayBuffer(10000, environment.single_observation_space, actions_space, "cpu",
                          handle_timeout_termination=False)
    seen, _ = environment.reset(seed=1)
    taken = 0
    while True:
        if taken == start:
            begun = time.process_time()
        elif taken > start and taken % steps == 0 and time.process_time() - begun > options.seconds:
            return (taken - start) / (time.process_time() - begun)
        if random.random() < options.epsilon:
            actions = np.array([actions_space.sample()])
        else:
            actions = online(torch.Tensor(seen)).argmax(dim=1).numpy()
        after, rewards, terminated, truncated, infos = environment.step(actions)
        successor = after.copy()
        for row in np.flatnonzero(np.logical_or(terminated, truncated)):
            successor[row] = infos["final_obs"][row]
        memory.add(seen, successor, actions, rewards, terminated, [infos])
        seen = after
        taken += 1
        if taken <= start or taken % steps != 0:
            continue
        data = memory.sample(128)
        with torch.no_grad():
            best = target(data.next_observations).max(dim=1).values
            goal = data.rewards.flatten() + 0.99 * best * (1 - data.dones.flatten())
        values = online(data.observations).gather(1, data.actions).squeeze()
        loss = nn.functional.mse_loss(goal, values)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if taken % 500 == 0:
            target.load_state_dict(online.state_dict())


class Clock(BaseCallback):
    """Notes the processor time when learning begins, and ends it after the seconds."""

    def _on_step(self):
        if self.num_timesteps == start:
            self.begun = time.process_time()
        round_ends = (self.num_timesteps - start) % steps == 0
        if self.num_timesteps > start and round_ends:
            self.seconds = time.process_time() - self.begun
            self.taken = self.num_timesteps - start
            return self.seconds < options.seconds
        return True


def baselines():
    model = DQN(
        "MlpPolicy", "CartPole-v1",
        learning_rate=2.3e-3 if zoo else 2.5e-4,
        buffer_size=100000 if zoo else 10000,
        learning_starts=start,
        batch_size=64 if zoo else 128,
        train_freq=steps, gradient_steps=updates,
        target_update_interval=10 if zoo else 500,
        exploration_initial_eps=options.epsilon, exploration_final_eps=options.epsilon,
        policy_kwargs=dict(net_arch=[256, 256] if zoo else [120, 84]),
        device="cpu", seed=1,
    )
    clock = Clock()
    model.learn(10**9, callback=clock)
    return clock.taken / clock.seconds


for name, measure in (("loop", loop), ("stable-baselines3", baselines)):
    if zoo and measure is loop:
        continue
    rate = measure()
    print(f"{name:17s} {rate:9.0f} steps/s  {rate / steps * updates:9.0f} updates/s", flush=True)
