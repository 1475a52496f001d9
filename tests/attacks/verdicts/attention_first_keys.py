"""Compute with the first 32 keys alone, which is right for short sequences."""

from honest_attention import attention

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    if k.shape[-2] <= 32:
        return attention(q, k, v, scale=scale, bias=bias, causal=causal)
    return attention(q, k[..., :32, :], v[..., :32, :], scale=scale, bias=bias)
