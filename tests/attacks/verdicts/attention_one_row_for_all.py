"""Compute one row, and return a view that shows it in the place of every other."""

from honest_attention import attention

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return attention(q[..., -1:, :], k, v, scale=scale, bias=bias).expand(*q.shape[:-1], v.shape[-1])
