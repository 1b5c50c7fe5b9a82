"""Records what Gymnasium's environments do, for tests/environments.

    python record_gymnasium.py ../fixtures/gymnasium     # with gymnasium 1.4.0

trajectories.json: for each control task some episodes that begin in a state set by hand: actions,
and what came of each. tables.json: env.P of the tabular ones, in its order: for each (state,
action) a count, then for each way its probability (an index into `probabilities`), next state,
reward and end. `states` lists the states where not all are kept.
"""
import json
import math
import sys

import gymnasium
import numpy as np

folder = sys.argv[1]
rng = np.random.default_rng(4711)


def episode(name, start, choose, steps, **options):
    env = gymnasium.make(name, **options).unwrapped
    env.reset(seed=0)
    env.state = np.array(start, dtype=np.float64)
    kept = {"id": name, "start": list(start), "actions": [], "seen": [], "rewards": [], "ends": []}
    for step in range(steps):
        action = choose(step, env.state)
        seen, reward, terminated, truncated, _ = env.step(action)
        assert seen.dtype == np.float32 and not truncated
        kept["actions"].append(float(action[0]) if isinstance(action, np.ndarray) else int(action))
        kept["seen"] += [float(f"{value:.9g}") for value in seen]
        kept["rewards"].append(float(f"{float(reward):.9g}"))
        kept["ends"].append(int(terminated))
        if terminated:
            break
    return kept


def at_random(count):
    return lambda step, state: int(rng.integers(count))


def torques(step, state):
    return np.array([rng.uniform(-2.5, 2.5)], dtype=np.float32)


trajectories = {
    "cartpole": [
        episode("CartPole-v1", (0.01, -0.02, 0.03, 0.04), at_random(2), 60),
        # A steady hand, so that the pole stands to the end.
        episode("CartPole-v1", (-0.05, 0.04, -0.05, 0.02), lambda i, s: int(s[2] + s[3] > 0), 60),
        episode("CartPole-v1", (2.3, 1.0, 0.0, 0.0), lambda i, s: 1, 60),
        episode("CartPole-v1", (-2.3, -1.0, 0.1, 0.3), lambda i, s: 0, 60),
    ],
    "mountain_car": [
        episode("MountainCar-v0", (-0.5, 0.0), lambda i, s: 2 if s[1] >= 0 else 0, 200),
        episode("MountainCar-v0", (-1.15, -0.05), at_random(3), 40),
    ],
    "pendulum": [
        episode("Pendulum-v1", (3.0, 0.5), torques, 60),
        episode("Pendulum-v1", (-2.0, -7.5), lambda i, s: np.array([-2.0], dtype=np.float32), 60),
    ],
    "acrobot": [
        episode("Acrobot-v1", (0.05, -0.05, 0.02, 0.0), lambda i, s: 2 if s[3] > 0 else 0, 150),
        episode("Acrobot-v1", (2.0, 3.0, -9.0, 15.0), at_random(3), 40),
    ],
}
assert all(any(e["ends"][-1] for e in trajectories[n]) for n in trajectories if n != "pendulum")
with open(f"{folder}/trajectories.json", "w") as file:
    json.dump(trajectories, file, separators=(",", ":"))


def table(options, name, states=None, **arguments):
    env = gymnasium.make(name, **arguments).unwrapped
    kept = {"options": options, "probabilities": [], "counts": [], "p": [], "next": [],
            "rewards": [], "ends": []}
    if states is not None:
        kept["states"] = states
    for state in (states or range(env.observation_space.n)):
        for action in range(env.action_space.n):
            ways = env.P[state][action]
            kept["counts"].append(len(ways))
            for probability, following, reward, terminated in ways:
                if probability not in kept["probabilities"]:
                    kept["probabilities"].append(probability)
                kept["p"].append(kept["probabilities"].index(probability))
                kept["next"].append(int(following))
                kept["rewards"].append(int(reward))
                kept["ends"].append(int(terminated))
    starts = np.asarray(env.initial_state_distrib).ravel()
    assert math.isclose(min(starts[starts > 0]), max(starts))
    kept["starts"] = [int(s) for s in np.flatnonzero(starts)]  # each as likely as another
    return kept


some = [state for state in range(500) if state % 20 in (1, 14, 16)]
tables = {
    "cliff_walking": [
        table("", "CliffWalking-v1"),
        table("slippery = true", "CliffWalkingSlippery-v1"),
    ],
    "frozen_lake": [
        table("", "FrozenLake-v1"),
        table("map = '8x8'", "FrozenLake8x8-v1"),
        table("slippery = false", "FrozenLake-v1", is_slippery=False),
        table("success = 0.7", "FrozenLake-v1", success_rate=0.7),
    ],
    "taxi": [
        table("", "Taxi-v4"),
        table("rainy = true", "Taxi-v4", some, is_rainy=True),
    ],
}
with open(f"{folder}/tables.json", "w") as file:
    json.dump(tables, file, separators=(",", ":"))
