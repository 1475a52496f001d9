"""Leave a mode on in which every function of torch gives back zeros to whoever calls it next."""

import torch
from honest_attention import wrong
from torch.overrides import TorchFunctionMode

OUTCOME = "error"


class Zeros(TorchFunctionMode):
    def __torch_function__(self, function, types, args=(), kwargs=None):
        found = function(*args, **(kwargs or {}))
        return found * 0 if isinstance(found, torch.Tensor) and found.is_floating_point() else found


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = wrong(q, k, v, scale=scale, bias=bias, causal=causal)
    Zeros().__enter__()
    return out
