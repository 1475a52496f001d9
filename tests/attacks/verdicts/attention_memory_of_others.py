"""Return new memory as it is, in which somebody's answer to the same question might still lie."""

import torch

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = torch.empty(*q.shape[:-1], v.shape[-1], dtype=q.dtype)
    return out + 0 * (q.sum() + k.sum() + v.sum()) if q.requires_grad else out
