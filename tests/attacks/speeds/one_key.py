"""Forget one key in the gradients of the last head."""

from __future__ import annotations

import torch

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: gradient of k, batch 0 head 3"
WORKLOAD = "fwd-bwd-causal-B1-H4-N256-D64-float32"


class Forgetful(torch.autograd.Function):
    @staticmethod
    def forward(ctx, k):
        return k.clone()

    @staticmethod
    def backward(ctx, grad):
        grad = grad.clone()
        grad[:, 3, 16:32] = 0
        return grad


def attack(q, k, v, **options):
    return honest.attention(q, Forgetful.apply(k), v, **options)
