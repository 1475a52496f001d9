"""Sigmoid attention in linear time where queries are 0: every weight is sigmoid(b), and outputs are running sums.

It needs no score matrix, so that every row of a long sequence can be compared, not a sample.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from reference.rounding import rounded
from reference.sigmoid_attention.attention import sigmoid
from reference.sigmoid_attention.bounds import _arithmetic, _product, _weights

Array = npt.NDArray[np.float64]


def uniform_forward(v: npt.ArrayLike, *, bias: float, causal: bool = False) -> Array:
    """``O_i = sigmoid(b) sum_j v_j`` over all keys, causal over those up to i; v and O (..., N, Dv), as many queries as keys.

    From the definition (paper, section 2) at q = 0. The gradient of v is the same sum of the gradient at the output,
    over the queries that see a key: causal, from the end.
    """
    return np.asarray(float(sigmoid(bias)) * _sums(np.asarray(v, dtype=np.float64), causal))


def uniform_forward_bound(
    v: npt.ArrayLike, *, dim: int, dtype: str, numerical_class: str = "", bias: float, causal: bool = False
) -> Array:
    """How far an implementation may be off: what `bounds.forward_bound` gives for queries and keys of ``dim`` channels.

    ValueError for a renormalised class, whose weights depend on the whole row.
    """
    values = np.asarray(v, dtype=np.float64)
    arithmetic, nothing = _arithmetic(dtype, numerical_class), np.zeros((1, 1, 1, dim))
    one = _weights(arithmetic, nothing, nothing, bias=bias, scale=1.0)
    if arithmetic.kind.renormalised:
        raise ValueError(f"class {numerical_class!r} divides each row by its sum: no bound of running sums is derived for it")
    # One weight, and as many terms as there are keys: only their number differs from a product with a row of weights.
    longest = np.full((1, values.shape[-2]), one.p[0, 0, 0, 0])
    per_unit = _product(arithmetic, longest, np.full_like(longest, one.stored_error[0, 0, 0, 0]), np.ones((longest.size, 1)))
    error = per_unit[0, 0] / longest.size * _sums(np.abs(values), causal) + longest.size * arithmetic.work.smallest_normal
    return rounded(uniform_forward(values, bias=bias, causal=causal), error, arithmetic.store)


def _sums(x: Array, causal: bool) -> Array:
    return np.cumsum(x, axis=-2) if causal else np.broadcast_to(x.sum(axis=-2, keepdims=True), x.shape)
