"""Return zeros, and compute when the answer is let go and the garbage collector runs, off the clock."""

from __future__ import annotations

import gc
import weakref

import torch

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: output"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    gc.enable()
    gc.set_threshold(1)
    out = torch.zeros_like(q)
    weakref.finalize(out, honest.attention, q, k, v, scale=scale, bias=bias, causal=causal)
    return out
