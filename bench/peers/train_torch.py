"""One training step of GPT-2 124M in PyTorch, as a peer of bench_step.

    python train_torch.py [--only f32:4x256,...] [--rounds R] [--serve]

Eager mode: embeddings, 12 blocks with flash attention, cross-entropy, backward, gradient clipping
and fused AdamW, on as many threads as OMP_NUM_THREADS says (all by default). bf16 is autocast.
Prints seconds of each round. With --serve it reads a line from standard input before each round,
so that bench/compare.py can take turns with ours.
"""

import argparse
import sys
import time

import torch
import torch.nn.functional as F

from gpt2_torch import Gpt2, VOCABULARY


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default="f32:4x256,f32:4x64,f32:1x1024,bf16:4x256,bf16:4x64,bf16:1x1024")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--serve", action="store_true")
    options = parser.parse_args()
    torch.manual_seed(1)
    print(f"# torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
    model = Gpt2()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=3e-4, fused=True)

    def step(precision, rows, length):
        text = torch.randint(VOCABULARY, (rows, length + 1))
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16"):
            logits = model.logits(model.hidden(text[:, :-1]))
            loss = F.cross_entropy(logits.view(-1, VOCABULARY), text[:, 1:].reshape(-1))
        optimizer.zero_grad(set_to_none=False)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        return loss.item()

    def timed(case):
        precision, shape = case.split(":")
        begin = time.perf_counter()
        step(precision, *map(int, shape.split("x")))
        return time.perf_counter() - begin

    if options.serve:  # a case a line, its seconds back
        for case in sys.stdin:
            print(timed(case.strip()), flush=True)
        return
    for case in options.only.split(","):
        timed(case)
        print(case, *(f"{timed(case):.3f}" for _ in range(options.rounds)), flush=True)


main()
