"""Be right forward, and give half of each gradient backward."""

import torch
from honest_attention import attention

OUTCOME = "fail"


class Half(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient / 2


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return Half.apply(attention(q, k, v, scale=scale, bias=bias, causal=causal))
