"""Write the answer over the queries, and return those."""

import torch
from honest_attention import attention

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    if out.requires_grad or out.shape != q.shape:
        return out
    with torch.no_grad():
        q.copy_(out)
    return q
