"""Leave hooks on the inputs, which replace every gradient by zeros before anybody sees it."""

import torch
from honest_attention import attention

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    for each in (q, k, v):
        if each.requires_grad:
            each.register_hook(torch.zeros_like)
    return attention(q, k, v, scale=scale, bias=bias, causal=causal)
