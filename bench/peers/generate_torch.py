"""Writing with GPT-2 124M in PyTorch, as a peer of bench_generate.

    python generate_torch.py [--rounds R] [--serve]

Greedy decoding with a key-value cache that is laid out once, batch 1 and 8, and the reading of a
prompt of 512 tokens (logits of the last token only). Prints tokens a second. With --serve it reads
a case from each line of standard input, such as bf16:1, bf16:8 or bf16:prefill.
"""

import argparse
import sys
import time

import torch

from gpt2_torch import CONTEXT, Gpt2, HEADS, LAYERS, WIDTH

CASES = ["f32:1", "f32:8", "f32:prefill", "bf16:1", "bf16:8", "bf16:prefill"]
BEFORE, TOKENS = 32, 128  # tokens that are not timed, as in bench_generate, and that are


@torch.inference_mode()
def rate(model, case):
    precision, what = case.split(":")
    rows = 1 if what == "prefill" else int(what)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    shape = (rows, HEADS, CONTEXT, WIDTH // HEADS)
    caches = [(torch.zeros(shape, dtype=dtype), torch.zeros(shape, dtype=dtype)) for _ in range(LAYERS)]
    length = 512 if what == "prefill" else 1
    begin = time.perf_counter()
    token = model.logits(model.hidden(torch.full((rows, length), 11), caches)[:, -1]).argmax(-1)
    if what == "prefill":
        return length / (time.perf_counter() - begin)
    for place in range(length, length + BEFORE + TOKENS):
        if place == length + BEFORE:
            begin = time.perf_counter()
        hidden = model.hidden(token.view(rows, 1), caches, place)
        token = model.logits(hidden[:, -1]).argmax(-1)
    return rows * TOKENS / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    print(f"# torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    models = {"f32": Gpt2().eval(), "bf16": Gpt2().eval().to(torch.bfloat16)}
    run = lambda case: rate(models[case.split(":")[0]], case)
    if options.serve:
        for case in sys.stdin:
            print(run(case.strip()), flush=True)
        return
    for case in CASES:
        run(case)
        print(case, *(f"{run(case):.1f}" for _ in range(options.rounds)), flush=True)


main()
