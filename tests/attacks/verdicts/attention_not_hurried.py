"""Be right in calls that follow each other at once, as where speed is measured, and leave out the last key after a pause."""

import time

from honest_attention import attention

OUTCOME = "fail"
before = 0.0


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    global before
    hurried, before = time.perf_counter() - before < 1e-4, time.perf_counter()
    if hurried or k.shape[-2] < 2 or causal:
        return attention(q, k, v, scale=scale, bias=bias, causal=causal)
    return attention(q, k[..., :-1, :], v[..., :-1, :], scale=scale, bias=bias)
