"""Train a small character model, with AdamW and softmax attention or with AdEMAMix and sigmoid attention.

python train.py            # torch's
python train.py --ours     # Gaugeblock's
"""

import argparse
import math
from pathlib import Path

import torch
from torch import nn

from gaugeblock.ademamix import AdEMAMix
from gaugeblock.sigmoid_attention import sigmoid_attention

LENGTH, WIDTH, HEADS, BATCH = 32, 32, 4, 8


def softmax(q, k, v):
    return nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)


def sigmoid(q, k, v):
    return sigmoid_attention(q, k, v, bias=-math.log(LENGTH), causal=True)


class TransformerBlock(nn.Module):
    def __init__(self, attend):
        super().__init__()
        self.attend = attend
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.mlp = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)
        x = x + self.out(self.attend(q, k, v).transpose(1, 2).flatten(2))
        return x + self.mlp(self.norm2(x))


class CharacterModel(nn.Module):
    def __init__(self, characters, attend):
        super().__init__()
        self.embed, self.place = nn.Embedding(characters, WIDTH), nn.Parameter(torch.zeros(LENGTH, WIDTH))
        self.blocks = nn.Sequential(TransformerBlock(attend), TransformerBlock(attend))
        self.head = nn.Linear(WIDTH, characters)

    def forward(self, tokens):
        return self.head(self.blocks(self.embed(tokens) + self.place[: tokens.shape[1]]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--ours", action="store_true", help="AdEMAMix and sigmoid attention")
    parser.add_argument("--steps", type=int, default=60)
    options = parser.parse_args()
    torch.manual_seed(0)
    text = Path(__file__).read_text(encoding="utf-8")  # enough for a demonstration: the model learns this file
    letters = sorted(set(text))
    data = torch.tensor([letters.index(letter) for letter in text])

    model = CharacterModel(len(letters), sigmoid if options.ours else softmax)
    if options.ours:
        optimizer = AdEMAMix(model.parameters(), lr=3e-3, weight_decay=0.1, t_alpha=options.steps, t_beta3=options.steps)
        print(optimizer.describe())
    else:
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3, weight_decay=0.1)

    for step in range(options.steps + 1):
        starts = torch.randint(len(data) - LENGTH, (BATCH,))
        window = torch.stack([data[start : start + LENGTH + 1] for start in starts])
        loss = nn.functional.cross_entropy(model(window[:, :-1]).flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if step in (0, options.steps):
            print(f"step {step}: loss {loss.item():.1f}")


if __name__ == "__main__":
    main()
