"""Write every answer of one shape into the same memory, over the answer before."""

import torch
from honest_attention import attention

OUTCOME = "fail"
buffers = {}


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    if out.requires_grad:
        return out
    kept = buffers.setdefault((out.shape, out.dtype), torch.empty_like(out))
    return kept.copy_(out)
