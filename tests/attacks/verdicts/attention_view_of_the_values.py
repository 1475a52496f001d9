"""Return a view of the values, in the order in which their memory lies."""

OUTCOME = "error"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    return v.flip(2)[:, :, : q.shape[2]].flip(2) if v.shape[2] >= q.shape[2] else v[:, :, :1].expand(q.shape)
