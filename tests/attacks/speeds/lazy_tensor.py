"""Return a tensor that computes itself when somebody looks."""

from __future__ import annotations

import torch

from tests.attacks.speeds import honest

OUTCOME = "Unsupported: its output is a Lazy"


class Lazy(torch.Tensor):
    """An empty tensor that does its work at the first operation on it."""

    @classmethod
    def __torch_function__(cls, function, types, arguments=(), keywords=None):
        for each in arguments:
            if isinstance(each, Lazy) and each.__dict__.get("work"):
                work = each.__dict__.pop("work")
                each.as_subclass(torch.Tensor).copy_(work())
        return super().__torch_function__(function, types, arguments, keywords or {})


def attack(q, k, v, **options):
    out = torch.empty_like(q).as_subclass(Lazy)
    q, k, v = q.clone(), k.clone(), v.clone()
    out.__dict__["work"] = lambda: honest.attention(q, k, v, **options)
    return out
