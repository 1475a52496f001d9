"""Nothing wrong: attention that attacks begin with, or hide behind."""

from __future__ import annotations

import torch


def attention(q, k, v, *, scale=None, bias=0.0, causal=False):
    score = q @ k.mT * (scale or q.shape[-1] ** -0.5) + bias
    if causal:
        rows, keys = score.shape[-2:]
        score = score.masked_fill(torch.ones(rows, keys, dtype=torch.bool).triu(1 + keys - rows), float("-inf"))
    return torch.sigmoid(score) @ v


def wrong(q, k, v, *, scale=None, bias=0.0, causal=False):
    """What a cheat has that computes something else: weights that add up to 1."""
    return torch.softmax(q @ k.mT * (scale or q.shape[-1] ** -0.5) + bias, -1) @ v
