"""Nothing wrong: what the attacks do when they do their work."""

from __future__ import annotations

import torch

from impls.ademamix.optimizer import AdEMAMix
from impls.rig.adapters.re import parse as parse


def attention(q, k, v, *, scale=None, bias=0.0, causal=False):
    score = q @ k.mT * (scale or q.shape[-1] ** -0.5) + bias
    if causal:
        score = score.masked_fill(torch.ones_like(score, dtype=torch.bool).triu(1), float("-inf"))
    return torch.sigmoid(score) @ v


class Optimizer(AdEMAMix):
    """As it is."""
