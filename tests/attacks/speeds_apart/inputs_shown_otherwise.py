"""Replace the part of the suite that shows inputs and answers by one that shows zeros for both, which fit together."""

from __future__ import annotations

import numpy as np
import torch

from conformance.sigmoid_attention.harness import torch_backend

OUTCOME = "WrongAnswer: output"


def of_head(self, arrays, batch, head):
    return {name: np.zeros(tuple(x.shape[-2:])) for name, x in arrays.items()}


def attack(q, k, v, **options):
    torch_backend.TorchWork.of_head = of_head
    return torch.zeros_like(q)
