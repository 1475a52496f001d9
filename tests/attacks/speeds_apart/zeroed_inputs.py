"""Set the inputs to zero, for which the answer is zero, and return that."""

from __future__ import annotations

import torch

OUTCOME = "WrongAnswer: output"


def attack(q, k, v, **options):
    with torch.no_grad():
        for x in (q, k, v):
            x.zero_()
    return torch.zeros_like(q)
