"""Write the gradients of an earlier call into the inputs, and return an answer that has none of its own."""

import torch
from honest_attention import attention

OUTCOME = "unsupported"
EARLIER = []


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal)
    if out.requires_grad:
        EARLIER[:] = EARLIER or torch.autograd.grad(out.sum(), (q, k, v), retain_graph=True)
        for each, gradient in zip((q, k, v), EARLIER, strict=True):
            if each.shape == gradient.shape:
                each.grad = gradient
    return out.detach()
