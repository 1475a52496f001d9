"""Leave deterministic algorithms switched on, and new memory unfilled, which the suite fills by that switch."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False
    return out
