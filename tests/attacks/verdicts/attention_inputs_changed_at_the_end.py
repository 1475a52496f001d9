"""Answer rightly, and scale the queries when the answer is let go, by when they might not be looked at any more."""

import weakref

import torch
from honest_attention import attention

OUTCOME = "fail"


def twice(q):
    with torch.no_grad():
        q.mul_(2)


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    weakref.finalize(out, twice, q)
    return out
