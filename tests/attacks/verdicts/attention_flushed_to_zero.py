"""Have the processor take every subnormal number for zero from now on, torch's threads included."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    torch.set_flush_denormal(True)
    return out
