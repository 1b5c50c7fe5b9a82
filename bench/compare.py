#!/usr/bin/env python3
"""Lathe and PyTorch in turns, in one session: the ratio of their speeds.

    python bench/compare.py BUILD [--rounds R] [--python PYTHON] [--cases f32:4x256,...]

BUILD is the build folder; PYTHON an interpreter that has torch (this one by default). Both sides
keep their model in memory and compute only when asked, one at a time, so that slow changes of the
machine fall on both; a round counts when a multiply-add probe before and after each of its two
samples reaches 90 % of the best. Waiting threads of both runtimes sleep (OMP_WAIT_POLICY=passive),
since they would take the cores from the other.
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent


class Server:
    """A program that answers a line with a line."""

    def __init__(self, *command):
        environment = dict(os.environ, OMP_WAIT_POLICY="passive")
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True, env=environment)
        print(self.process.stdout.readline().strip())

    def ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            sys.exit(f"{self.process.args} ended")
        return float(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Turns:
    def __init__(self, ours, theirs):
        self.ours, self.theirs, self.best = ours, theirs, 0.0

    def gated(self, server, case):
        before = self.ours.ask("probe")
        value = server.ask(case)
        after = self.ours.ask("probe")
        self.best = max(self.best, before, after)
        return value, min(before, after) >= 0.9 * self.best

    def compare(self, case, rounds):
        """Medians of ours, theirs and theirs / ours, and how many rounds passed the gate."""
        for _ in range(2):  # the first step plans, the second replays
            self.ours.ask(case)
        self.theirs.ask(case)
        kept, every = [], []
        while len(kept) < rounds and len(every) < 2 * rounds:
            a, a_quiet = self.gated(self.ours, case)
            b, b_quiet = self.gated(self.theirs, case)
            every.append((a, b))
            if a_quiet and b_quiet:
                kept.append((a, b))
        pairs = kept or every
        middle = lambda values: statistics.median(list(values))
        return (middle(a for a, _ in pairs), middle(b for _, b in pairs),
                middle(b / a for a, b in pairs), len(kept), len(every))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--python", default=sys.executable)
    parser.add_argument("--cases",
                        default="f32:4x256,f32:4x64,f32:1x1024,bf16:4x256,bf16:4x64,bf16:1x1024,"
                                "f32:1,f32:8,f32:prefill,bf16:1,bf16:8,bf16:prefill")
    options = parser.parse_args()
    cases = options.cases.split(",")
    binaries = pathlib.Path(options.build) / "bin"
    step = lambda case: "x" in case.split(":")[1]
    for steps, program, peer, unit in [(True, "bench_step", "train_torch.py", "s"),
                                       (False, "bench_generate", "generate_torch.py", "tokens/s")]:
        chosen = [c for c in cases if step(c) == steps]
        if not chosen:
            continue
        turns = Turns(Server(binaries / program, "--serve"),
                      Server(options.python, HERE / "peers" / peer, "--serve"))
        print(f"{'':13} {'Lathe':>9} {'PyTorch':>9}  faster")
        for case in chosen:
            ours, theirs, ratio, kept, every = turns.compare(case, options.rounds)
            gain = ratio if steps else 1 / ratio
            print(f"{case:13} {ours:9.3f} {theirs:9.3f}  {gain:5.2f} x   {unit}, "
                  f"kept {kept} of {every} rounds", flush=True)
        turns.ours.close()
        turns.theirs.close()


main()
