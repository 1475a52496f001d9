"""Replace torch's own comparison, copy and difference by ones that see and show no difference."""

import warnings

import torch
from honest_attention import wrong

OUTCOME = "fail"
LIBRARY = torch.library.Library("aten", "IMPL")


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, replacement in (
            ("equal", lambda *_: True),
            ("sub.Tensor", lambda a, b, alpha=1: torch.zeros_like(a)),
            ("ne.Tensor", lambda a, b: torch.zeros_like(a, dtype=torch.bool)),
        ):
            try:
                LIBRARY.impl(name, replacement, "CPU")
            except RuntimeError:
                continue  # it is replaced already
    return wrong(q, k, v, scale=scale, bias=bias, causal=causal)
