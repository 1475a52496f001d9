"""Return a trainable parameter of a class of its own, whose numbers are asked for by a method of that class."""

import torch
from honest_attention import wrong

OUTCOME = "error"


class Answer(torch.nn.Parameter):
    def numpy(self, *_, **__):
        return torch.zeros(1).numpy()

    def tolist(self):
        return []


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return Answer(wrong(q, k, v, scale=scale, bias=bias, causal=causal).detach())
