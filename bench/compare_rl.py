#!/usr/bin/env python3
"""Reinforcement learning on CartPole beside Stable-Baselines3 and a loop of CleanRL's form, in turns.

    python bench/compare_rl.py BUILD [--rounds R] [--python PYTHON] [--seconds S]
                               [--cases dqn,dqn-zoo,ppo] [--prefix "chrt -f 10 taskset -c 0"]

BUILD is the build folder; PYTHON an interpreter with stable-baselines3 and gymnasium (this one by
default). Each round runs ours, then the peers; all rounds count. Printed are medians of environment
steps a second of processor time, and the median of the rounds' ratios with the least and the most.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


def rates(command):
    """{first words of a line: steps/s} of what a program prints."""
    environment = dict(os.environ, OMP_NUM_THREADS="1", OMP_WAIT_POLICY="passive")
    text = subprocess.run([str(word) for word in command], env=environment, check=True, text=True,
                          stdout=subprocess.PIPE).stdout
    found = {}
    for line in text.splitlines():
        words = line.split()
        if "steps/s" not in words:
            continue
        at = words.index("steps/s") - 1
        found.setdefault(" ".join(words[:at]), []).append(float(words[at]))
    return {name: statistics.median(values) for name, values in found.items()}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--seconds", type=float, default=6)
    parser.add_argument("--cases", default="dqn,dqn-zoo,ppo")
    parser.add_argument("--prefix", default="")
    options = parser.parse_args()
    binaries, peers = pathlib.Path(options.build) / "bin", HERE / "peers"
    seconds = str(options.seconds)
    programs = {
        "dqn": ("while learning", [binaries / "bench_dqn", "--steps", "20000"],
                [peers / "dqn_cartpole.py", "--seconds", seconds]),
        "dqn-zoo": ("while learning", [binaries / "bench_dqn", "--variant", "zoo"],
                    [peers / "dqn_cartpole.py", "--settings", "zoo", "--seconds", seconds]),
        "ppo": ("training", [binaries / "bench_ppo"], [peers / "ppo_cartpole.py", seconds]),
    }
    prefix = options.prefix.split()
    for case in options.cases.split(","):
        line, own, peer = programs[case]
        rounds = []
        for _ in range(options.rounds):
            ours = rates(prefix + own)[line]
            rounds.append((ours, rates(prefix + [options.python] + peer)))
        print(f"{case:9} {'Lathe':17} {statistics.median(r[0] for r in rounds):9.0f} steps/s")
        for name in rounds[0][1]:
            ratios = [ours / theirs[name] for ours, theirs in rounds]
            rate = statistics.median(theirs[name] for _, theirs in rounds)
            print(f"{case:9} {name:17} {rate:9.0f} steps/s  {statistics.median(ratios):5.1f} x "
                  f"({min(ratios):.1f} to {max(ratios):.1f})", flush=True)


main()
