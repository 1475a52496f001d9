"""Softmax attention, one query at a time: what sigmoid attention is compared with, for its speed and its regularity."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from reference.rounding import FLOAT32, format_of, gamma, rounded

Array = npt.NDArray[np.float64]


def softmax_row(q: Array, k: Array, v: Array) -> Array:
    """``softmax(q k^T / sqrt(D)) v`` for q (D,), k (N, D), v (N, Dv); shape (Dv,)."""
    return _weights(q, k) @ v


def softmax_row_bound(q: Array, k: Array, v: Array, *, dtype: str) -> Array:
    """How far an honest fused kernel may be off: weights stored once in ``dtype``, everything else in float32.

    A score error of at most t moves a weight by a factor within ``e^(2t)``, one t for the numerator and one for the sum. The
    running maximum may rescale a partial sum at every block; with N blocks at most that is in ``gamma(3 N)``.
    """
    store, w = format_of(dtype), 2 * FLOAT32.unit_roundoff
    p = _weights(q, k)
    reach = np.abs(q) @ np.abs(k).T / math.sqrt(q.shape[0])
    t = float(gamma(q.shape[0] + 8, w) * reach.max() + gamma(8, w))
    relative = math.expm1(2 * t) + gamma(3 * len(k) + 8, w) + 2 * store.unit_roundoff
    return rounded(p @ v, relative * (1 + relative) * (p @ np.abs(v)) + store.half_subnormal * np.abs(v).sum(0), store)


def _weights(q: Array, k: Array) -> Array:
    scores = k @ q / math.sqrt(q.shape[0])
    e = np.exp(scores - scores.max())
    return np.asarray(e / e.sum())
