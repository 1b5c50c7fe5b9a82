"""PPO on CartPole with CleanRL's settings, environment steps/s and samples/s (a step counts once in
each epoch) of processor time, on one thread: what bench_ppo measures.

    python ppo_cartpole.py [SECONDS]   # with stable-baselines3 and gymnasium

"loop" is a plain PyTorch loop of CleanRL's form: the same network, update and vector environment.
"""
import sys
import time

import gymnasium
import numpy as np
import torch
from stable_baselines3 import PPO
from stable_baselines3.common.env_util import make_vec_env
from torch import nn

seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15
torch.set_num_threads(1)
rows, steps, epochs, parts = 4, 128, 4, 4


def layer(inputs, outputs, gain=2**0.5):
    made = nn.Linear(inputs, outputs)
    nn.init.orthogonal_(made.weight, gain)
    nn.init.zeros_(made.bias)
    return made


def network(outputs, gain):
    return nn.Sequential(layer(4, 64), nn.Tanh(), layer(64, 64), nn.Tanh(), layer(64, outputs, gain))


def loop():
    torch.manual_seed(1)
    environment = gymnasium.vector.SyncVectorEnv([lambda: gymnasium.make("CartPole-v1")] * rows)
    actor, critic = network(2, 0.01), network(1, 1)
    weights = [*actor.parameters(), *critic.parameters()]
    optimizer = torch.optim.Adam(weights, lr=2.5e-4, eps=1e-5)
    seen = torch.zeros(steps, rows, 4)
    actions, logs, rewards, ends, values = (torch.zeros(steps, rows) for _ in range(5))
    now = torch.tensor(environment.reset(seed=1)[0])
    ended = torch.zeros(rows)
    taken = 0
    begun = time.process_time()
    while time.process_time() - begun < seconds:
        for t in range(steps):
            seen[t], ends[t] = now, ended
            with torch.no_grad():
                policy = torch.distributions.Categorical(logits=actor(now))
                action = policy.sample()
                values[t] = critic(now).flatten()
            actions[t], logs[t] = action, policy.log_prob(action)
            observed, reward, terminated, truncated, _ = environment.step(action.numpy())
            rewards[t] = torch.tensor(reward)
            now = torch.tensor(observed)
            ended = torch.tensor(np.logical_or(terminated, truncated), dtype=torch.float32)
        with torch.no_grad():
            advantages = torch.zeros_like(rewards)
            running = 0
            for t in reversed(range(steps)):
                going = 1 - (ended if t == steps - 1 else ends[t + 1])
                after = critic(now).flatten() if t == steps - 1 else values[t + 1]
                running = rewards[t] + 0.99 * after * going - values[t] + 0.99 * 0.95 * going * running
                advantages[t] = running
        returns = advantages + values
        count = rows * steps
        flat = [x.reshape(count, *x.shape[2:]) for x in (seen, actions, logs, advantages, returns, values)]
        for _ in range(epochs):
            order = np.random.permutation(count)
            for k in range(parts):
                o, a, l, d, r, v = (x[order[k * count // parts:(k + 1) * count // parts]] for x in flat)
                policy = torch.distributions.Categorical(logits=actor(o))
                ratio = (policy.log_prob(a) - l).exp()
                d = (d - d.mean()) / (d.std() + 1e-8)
                loss = torch.max(-d * ratio, -d * ratio.clamp(0.8, 1.2)).mean()
                value = critic(o).flatten()
                near = v + (value - v).clamp(-0.2, 0.2)
                fit = 0.5 * torch.max((value - r) ** 2, (near - r) ** 2).mean()
                whole = loss - 0.01 * policy.entropy().mean() + 0.5 * fit
                optimizer.zero_grad()
                whole.backward()
                nn.utils.clip_grad_norm_(weights, 0.5)
                optimizer.step()
        taken += count
    return taken / (time.process_time() - begun)


def baselines():
    model = PPO(
        "MlpPolicy", make_vec_env("CartPole-v1", rows), n_steps=steps, batch_size=rows * steps // parts,
        n_epochs=epochs, learning_rate=2.5e-4, clip_range=0.2, clip_range_vf=0.2, ent_coef=0.01,
        max_grad_norm=0.5, gamma=0.99, gae_lambda=0.95, device="cpu", seed=1,
    )
    model.learn(rows * steps)
    begun = time.process_time()
    taken = 0
    while time.process_time() - begun < seconds:
        model.learn(8 * rows * steps, reset_num_timesteps=False)
        taken += 8 * rows * steps
    return taken / (time.process_time() - begun)


for name, measure in (("loop", loop), ("stable-baselines3", baselines)):
    rate = measure()
    print(f"{name:17s} {rate:9.0f} steps/s  {epochs * rate:9.0f} samples/s", flush=True)
