"""Set the numbers of torch's threads anew in each call, and leave them so."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    torch.set_num_threads(1 + torch.get_num_threads() % 3)
    return attention(q, k, v, scale=scale, bias=bias, causal=causal)
