#!/usr/bin/env python3
"""Records tests/fixtures/study/shared_tokens.json: what two sequences share by Python's
difflib.SequenceMatcher, the rule by which the authors of CrowS-Pairs align two sentences. Needs
nothing but Python.

Usage: record_shared_tokens.py tests/fixtures/study/shared_tokens.json
"""

import difflib
import json
import random
import sys


def shared(first, second):
    matcher = difflib.SequenceMatcher(None, first, second, autojunk=False)
    places = [(i + k, j + k) for i, j, n in matcher.get_matching_blocks() for k in range(n)]
    return [list(first), list(second), [i for i, _ in places], [j for _, j in places]]


draw = random.Random(7)
cases = [([], []), ([1], []), ([1, 2, 3], [1, 2, 3]), ([1, 2], [3, 4]),
         ([1, 2, 3, 1, 2, 3], [1, 2, 3]), ([1, 2, 3], [1, 2, 3, 1, 2, 3]), ([5, 1, 5, 2], [5, 2, 5, 1])]
for symbols in (2, 3, 5, 12):
    for _ in range(12):
        first = [draw.randrange(symbols) for _ in range(draw.randrange(1, 16))]
        second = list(first)
        for _ in range(draw.randrange(0, 5)):  # edits, as between two sentences of a pair
            place = draw.randrange(len(second) + 1)
            second[place:place + draw.randrange(3)] = [
                draw.randrange(symbols) for _ in range(draw.randrange(3))]
        cases.append((first, second))
with open(sys.argv[1], "w") as file:
    json.dump([shared(*case) for case in cases], file, separators=(",", ":"))
    file.write("\n")
