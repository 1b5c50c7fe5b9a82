"""GPT-2 124M in plain PyTorch, for train_torch.py and generate_torch.py.

Written for speed on a CPU with what PyTorch offers: one packed QKV product, scaled_dot_product_
attention (flash on the CPU), F.gelu, the head tied to the embedding.
"""

import torch
import torch.nn.functional as F
from torch import nn

VOCABULARY, CONTEXT, WIDTH, HEADS, LAYERS = 50257, 1024, 768, 12, 12


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention_norm = nn.LayerNorm(WIDTH)
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.projection = nn.Linear(WIDTH, WIDTH)
        self.feed_norm = nn.LayerNorm(WIDTH)
        self.up = nn.Linear(WIDTH, 4 * WIDTH)
        self.down = nn.Linear(4 * WIDTH, WIDTH)

    def forward(self, x, cache, place):
        rows, length, _ = x.shape
        heads = lambda part: part.view(rows, length, HEADS, WIDTH // HEADS).transpose(1, 2)
        q, k, v = map(heads, self.qkv(self.attention_norm(x)).split(WIDTH, dim=2))
        if cache is not None:
            keys, values = cache
            keys[:, :, place : place + length] = k
            values[:, :, place : place + length] = v
            k, v = keys[:, :, : place + length], values[:, :, : place + length]
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=length > 1)
        x = x + self.projection(mixed.transpose(1, 2).reshape(rows, length, WIDTH))
        return x + self.down(F.gelu(self.up(self.feed_norm(x)), approximate="tanh"))


class Gpt2(nn.Module):
    def __init__(self):
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.positions = nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.last_norm = nn.LayerNorm(WIDTH)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=0.02)

    def hidden(self, tokens, caches=None, place=0):
        positions = torch.arange(place, place + tokens.shape[1])
        x = self.tokens(tokens) + self.positions(positions)
        for index, block in enumerate(self.blocks):
            x = block(x, caches[index] if caches else None, place)
        return self.last_norm(x)

    def logits(self, hidden):
        return hidden @ self.tokens.weight.t()
