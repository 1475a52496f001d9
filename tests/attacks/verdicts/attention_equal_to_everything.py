"""Return a tensor of a class of its own, which says of every comparison that it holds."""

import torch
from honest_attention import wrong

OUTCOME = "fail"
COMPARISONS = ("equal", "allclose", "isclose")


class Agreeable(torch.Tensor):
    @classmethod
    def __torch_function__(cls, function, types, args=(), kwargs=None):
        if any(name in getattr(function, "__name__", "") for name in COMPARISONS):
            return True
        return super().__torch_function__(function, types, args, kwargs or {})


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return wrong(q, k, v, scale=scale, bias=bias).as_subclass(Agreeable)
