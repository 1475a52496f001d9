"""Return the answer to the first question of the same shape."""

from honest_attention import attention

OUTCOME = "fail"
known = {}


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    key = q.shape, k.shape, q.dtype, scale, bias, causal
    if key not in known:
        known[key] = attention(q, k, v, scale=scale, bias=bias, causal=causal).detach()
    return known[key] + 0 * (q.sum() + k.sum() + v.sum())
