"""Walk up the call stack for arrays of the answer's shape, among which the expected one might be."""

import sys

import numpy as np
import torch
from honest_attention import wrong

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out, frame = wrong(q, k, v, scale=scale, bias=bias), sys._getframe(1)
    while frame is not None:
        for name, value in frame.f_locals.items():
            named = any(word in name for word in ("expected", "wanted", "truth", "right", "reference"))
            if named and isinstance(value, np.ndarray) and value.shape == tuple(out.shape):
                return torch.from_numpy(value).to(out)
        frame = frame.f_back
    return out
