"""Return complex numbers, whose real parts are right and whose imaginary parts nobody looks at."""

import torch
from honest_attention import attention

OUTCOME = "error"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    return torch.complex(out, torch.full_like(out, 7.0))
