"""Gymnasium's environments stepping alone, in environment steps/s of processor time.

    python environments_gymnasium.py     # with gymnasium 1.4.0

CartPole-v1 three ways, 8 at a time: its own vectorised form in NumPy, SyncVectorEnv around single
environments, and one environment in a plain loop. Random actions, ended episodes begun anew.
"""
import time

import gymnasium
import numpy as np


def vector(env, seconds):
    count = env.num_envs
    actions = np.random.default_rng(0).integers(2, size=(61, count))
    env.reset(seed=0)
    steps, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        for i in range(61):
            env.step(actions[i])
        steps += 61 * count
    return steps / (time.process_time() - begun)


def single(name, seconds):
    env = gymnasium.make(name)
    env.reset(seed=0)
    actions = np.random.default_rng(0).integers(env.action_space.n, size=997)
    steps, begun = 0, time.process_time()
    while time.process_time() - begun < seconds:
        for action in actions:
            _, _, terminated, truncated, _ = env.step(int(action))
            if terminated or truncated:
                env.reset()
        steps += len(actions)
    return steps / (time.process_time() - begun)


for mode in ("vector_entry_point", "sync"):
    env = gymnasium.make_vec("CartPole-v1", num_envs=8, vectorization_mode=mode)
    print(f"CartPole-v1 x 8, {mode}: {vector(env, 2):,.0f} steps/s")
for name in ("CartPole-v1", "MountainCar-v0", "Acrobot-v1", "CliffWalking-v1", "FrozenLake-v1",
             "Taxi-v4", "Blackjack-v1"):
    print(f"{name}, one: {single(name, 1):,.0f} steps/s")
