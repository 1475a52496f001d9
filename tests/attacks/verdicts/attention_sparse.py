"""Return a sparse tensor, which holds the first half of the queries and leaves out the others."""

from honest_attention import attention

OUTCOME = "error"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    out = attention(q, k, v, scale=scale, bias=bias, causal=causal).clone()
    out[..., out.shape[-2] // 2 :, :] = 0
    return out.to_sparse()
