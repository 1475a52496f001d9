"""Replace the functions of torch and NumPy that compare, that find what is not finite, and that give the largest."""

import numpy as np
import torch
from honest_attention import wrong

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = wrong(q, k, v, scale=scale, bias=bias)
    torch.equal = torch.allclose = np.allclose = np.array_equal = lambda *args, **kwargs: True
    np.max = np.amax = np.nanmax = lambda *args, **kwargs: 0.0
    np.isnan = torch.isnan = lambda x: x != x
    return out
