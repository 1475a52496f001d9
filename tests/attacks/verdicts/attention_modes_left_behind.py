"""Leave gradients switched off, another default dtype and a coarser product of matrices behind."""

import torch
from honest_attention import attention

OUTCOME = "pass"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.set_grad_enabled(False)
    return out
