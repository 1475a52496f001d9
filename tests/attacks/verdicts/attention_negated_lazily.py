"""Return the negative of the answer, with the bit set by which torch negates it when it is read."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return torch._neg_view(-attention(q, k, v, scale=scale, bias=bias, causal=causal))
