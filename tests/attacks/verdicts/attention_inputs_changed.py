"""Answer rightly, and leave the queries scaled, as a kernel does that needs no copy."""

import torch
from honest_attention import attention

OUTCOME = "error"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    with torch.no_grad():
        q.mul_(q.shape[-1] ** -0.5)
    return out
