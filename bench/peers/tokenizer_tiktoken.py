#!/usr/bin/env python3
"""tiktoken (Rust) and Hugging Face's tokenizers on the texts of bench/text/tokenizer_bench.cpp, one
thread, best of several rounds, in MB/s of text and CPU time. Needs `pip install tiktoken tokenizers`.

Usage: tokenizer_tiktoken.py GPT2_FOLDER TEXT_FILE...   (the folder holds vocab.json, merges.txt
and tokenizer.json; nothing is downloaded)
"""

import json
import os
import sys
import time

os.environ["RAYON_NUM_THREADS"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import tiktoken
import tokenizers

PATTERN = r"""'(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s"""


def alphabet():
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [byte for byte in range(256) if byte not in printable]
    table = {chr(byte): byte for byte in printable}
    table.update({chr(256 + i): byte for i, byte in enumerate(others)})
    return table


def encoding(folder):
    table = alphabet()
    with open(os.path.join(folder, "vocab.json"), encoding="utf-8") as file:
        vocabulary = json.load(file)
    end = vocabulary.pop("<|endoftext|>")
    ranks = {bytes(table[c] for c in token): id for token, id in vocabulary.items()}
    return tiktoken.Encoding(
        "gpt2", pat_str=PATTERN, mergeable_ranks=ranks, special_tokens={"<|endoftext|>": end}
    )


def best(call, rounds=10):
    times = []
    for _ in range(rounds):
        start = time.process_time()
        result = call()
        times.append(time.process_time() - start)
    return min(times), result


def main():
    folder, files = sys.argv[1], sys.argv[2:]
    peer = encoding(folder)
    face = tokenizers.Tokenizer.from_file(os.path.join(folder, "tokenizer.json"))
    for name in files:
        with open(name, encoding="utf-8", newline="") as file:
            text = file.read()
        size = len(text.encode()) / 1e6
        seconds, ids = best(lambda: peer.encode_ordinary(text))
        print(f"tiktoken {tiktoken.__version__}: {size / seconds:.1f} MB/s, {len(ids)} ids, {name}")
        seconds, ids = best(lambda: face.encode(text, add_special_tokens=False).ids, rounds=3)
        print(f"tokenizers {tokenizers.__version__}: {size / seconds:.1f} MB/s, {len(ids)} ids, {name}")


main()
