"""Be wrong in every third call."""

import honest_attention

OUTCOME = "fail"
calls = 0


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    global calls
    calls += 1
    return (honest_attention.attention if calls % 3 else honest_attention.wrong)(
        q, k, v, scale=scale, bias=bias, causal=causal
    )
