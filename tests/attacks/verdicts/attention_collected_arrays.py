"""Search all objects of the garbage collector, and what they hold, for an array of the answer's shape that is no input."""

import gc

import numpy as np
import torch
from honest_attention import wrong

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = wrong(q, k, v, scale=scale, bias=bias)
    given = [x.detach().double().numpy() for x in (q, k, v)]
    for each in gc.get_objects():
        if type(each) is dict:
            for value in tuple(each.values()):
                found = isinstance(value, np.ndarray) and value.shape == tuple(out.shape) and value.dtype == np.float64
                if found and not any(value.shape == x.shape and np.array_equal(value, x) for x in given):
                    return torch.from_numpy(value.copy()).to(out) + 0 * out
    return out
