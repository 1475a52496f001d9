"""Leave a default device behind that holds no numbers, so that whatever is made next is empty."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    torch.set_default_device("cpu")
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    torch.set_default_device("meta")
    return out
