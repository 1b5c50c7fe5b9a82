"""GPT-2 124M in PyTorch on one GPU, as a peer of bench_cuda (which runs it with --python).

    python cuda_torch.py [--quick] [--device cpu]

A line "NAME VALUE UNIT" for each figure: a training step in bf16 (autocast, flash attention, fused
AdamW), eager and compiled; greedy decoding with a key-value cache that is laid out once, batch 1
and 64; sampling, batch 512. --quick takes small sizes, to try the script itself.
"""

import argparse
import time

import torch
import torch.nn.functional as F

from gpt2_torch import CONTEXT, Gpt2, HEADS, LAYERS, VOCABULARY, WIDTH


def wait(device):
    if device == "cuda":
        torch.cuda.synchronize()


def train(device, rows, length, steps, compiled):
    torch.manual_seed(1)
    model = Gpt2()
    matrices = [p for p in model.parameters() if p.dim() > 1]
    vectors = [p for p in model.parameters() if p.dim() == 1]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}],
        lr=3e-4, fused=True)

    def loss_of(text):
        with torch.autocast(device, torch.bfloat16):
            logits = model.logits(model.hidden(text[:, :-1]))
            return F.cross_entropy(logits.view(-1, VOCABULARY), text[:, 1:].reshape(-1))

    loss_function = torch.compile(loss_of) if compiled else loss_of

    def step():
        loss = loss_function(torch.randint(VOCABULARY, (rows, length + 1)))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    for _ in range(3):
        step()
    wait(device)
    begin = time.perf_counter()
    for _ in range(steps):
        step()
    wait(device)
    return rows * length * steps / (time.perf_counter() - begin)


@torch.inference_mode()
def write(model, device, rows, tokens, sampled):
    shape = (rows, HEADS, CONTEXT, WIDTH // HEADS)
    caches = [(torch.zeros(shape, dtype=torch.bfloat16), torch.zeros(shape, dtype=torch.bfloat16))
              for _ in range(LAYERS)]
    token = torch.full((rows, 1), 11)

    def next_token(place, token):
        logits = model.logits(model.hidden(token, caches, place)[:, -1])
        if sampled:
            return torch.multinomial(F.softmax(logits.float(), -1), 1)
        return logits.argmax(-1, keepdim=True)

    for place in range(2):
        token = next_token(place, token)
    wait(device)
    begin = time.perf_counter()
    for place in range(2, 2 + tokens):
        token = next_token(place, token)
    wait(device)
    return rows * tokens / (time.perf_counter() - begin)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    torch.set_default_device(options.device)
    rows, length, steps, tokens = (1, 32, 1, 2) if options.quick else (64, 1024, 10, 128)
    print(f"# torch {torch.__version__}", flush=True)
    say = lambda name, value: print(name, f"{value:.1f}", "tokens/s", flush=True)
    say("train_eager", train(options.device, rows, length, steps, False))
    if options.device == "cuda":
        say("train_compiled", train(options.device, rows, length, steps, True))
    model = Gpt2().eval().to(torch.bfloat16)
    for batch in (1, 2) if options.quick else (1, 64):
        say(f"decode_batch_{batch}", write(model, options.device, batch, tokens, False))
    batch = 3 if options.quick else 512
    say(f"rollout_batch_{batch}", write(model, options.device, batch, tokens, True))


main()
