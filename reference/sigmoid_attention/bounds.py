"""How far an honest implementation may be off, element by element, forward and backward.

A bound is a theorem about rounding, not a tuned tolerance: it holds for any data and any order of summation. Symbols:

    u, eta    unit roundoff and half the smallest subnormal of the input dtype (in which weights are stored and results
              are returned)
    w         ``2 u`` of the working format: float32, or float64 for float64 input. Round to nearest would make it ``u``;
              matrix units truncate when they add, and twice the roundoff covers both, at the price of a factor 2 in
              terms that the storage roundings outweigh anyway. For float64 input the reference itself is rounded at
              that precision, and the same factor covers its share.
    gamma(n)  ``n w / (1 - n w)``

**Scores.** The product makes D roundings. Scale and bias may be rounded, converted to base 2, multiplied and added: at
most 6 more. Starting the accumulator from ``bias / scale``, as the published kernel does, carries the bias through all of
them, hence ``gamma(D + 6) (|scale| |q| |k|^T + |b|) + gamma(6) |slope| distance``.

**Weights.** ``|(log sigmoid')'| <= 1``, so a score error t gives at most ``sigmoid'(s) (e^t - 1)``. The activation adds
``rho P`` with ``rho = 8 u_work`` (exponential 2 ulp, sum, reciprocal), what its class allows, and the working format's
smallest normal, under which a unit may flush. A pair that is masked has weight 0 and no error.

**Sums.** ``e |V| + gamma(N + 2) (P + e) |V|``, with e the error after storing P; likewise for every other product.

**Renormalised rows.** The class that goes through softmax divides by the row sum L and multiplies by it again: one more
stored rounding of the output, one of the gradient at it, and the error of ``exp(log L)``. Softmax's backward pass subtracts
``sum_c dO_c O_c / L`` twice with opposite signs; what is left is their rounding.

**Backward.** With ``g = P (1 - P)``, an error e in P gives ``|1 - 2P| e + e^2``. In the fused classes e is the error of the
unrounded weight: taking ``1 - P`` from a stored one destroys it near 1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from reference.rounding import FLOAT32, FLOAT64, Format, format_of, gamma, rounded
from reference.sigmoid_attention import attention
from reference.sigmoid_attention.attention import Gradients, ScoreOptions
from reference.sigmoid_attention.classes import AttentionClass, class_of
from reference.sigmoid_attention.masks import MaskOptions, Positions, distance, visible

Array = npt.NDArray[np.float64]

_SCORE_ROUNDINGS = 6  # scale, base-2 factor, their product; two additions; the exponential's own argument


@dataclass(frozen=True)
class _Weights:
    """What both bounds start from; all (B, H, Nq, Nk)."""

    seen: npt.NDArray[np.bool_]
    score: Array
    p: Array
    error: Array
    """of the weight as computed"""
    stored_error: Array
    """of the weight as stored for the product with v"""


@dataclass(frozen=True)
class _Arithmetic:
    store: Format
    work: Format
    kind: AttentionClass

    @property
    def w(self) -> float:
        return 2 * self.work.unit_roundoff

    def sum_error(self, count: int, *, scaled_operand: bool = False) -> float:
        """Relative error of a sum of ``count`` products, each operand entering as the class allows."""
        growth = 1 + gamma(count, self.w)
        if self.store.unit_roundoff < self.kind.operand_roundoff:  # a narrower dtype passes through exactly
            growth *= 1 + gamma(2, self.kind.operand_roundoff)
        if scaled_operand and self.kind.scaled_operands:
            growth *= 1 + gamma(2, self.store.unit_roundoff)
        return growth - 1


def _arithmetic(dtype: str, numerical_class: str) -> _Arithmetic:
    store = format_of(dtype)
    return _Arithmetic(store, FLOAT64 if store.precision > FLOAT32.precision else FLOAT32, class_of(numerical_class))


def forward_bound(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    *,
    dtype: str,
    numerical_class: str = "",
    **options: Unpack[ScoreOptions],
) -> Array:
    """Bound on ``|O - forward(...)|``, of O's shape (B, H, Nq, Dv), for input of ``dtype`` that is exact in it."""
    q, k, v = (attention._real(x) for x in (q, k, v))
    arithmetic = _arithmetic(dtype, numerical_class)
    found = _weights(arithmetic, q, k, **options)
    values = np.repeat(v, q.shape[1] // v.shape[1], axis=1)
    output, error = found.p @ values, _product(arithmetic, found.p, found.stored_error, values)
    if arithmetic.kind.renormalised:
        error = rounded(output, error + _row_sum_error(arithmetic, found)[0] * (np.abs(output) + error), arithmetic.store)
    return rounded(output, error, arithmetic.store)


def backward_bounds(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    grad: npt.ArrayLike,
    *,
    dtype: str,
    numerical_class: str = "",
    **options: Unpack[ScoreOptions],
) -> Gradients:
    """Bounds on what `attention.backward` returns, in the same shapes. The bias and the slopes are float32 quantities
    (float64 for float64 input), and so are their gradients, unless the class stores scores: then they may have been cast to
    the input dtype on the way."""
    q, k, v, grad = (attention._real(x) for x in (q, k, v, grad))
    arithmetic = _arithmetic(dtype, numerical_class)
    store, kind, w = arithmetic.store, arithmetic.kind, arithmetic.w
    group = q.shape[1] // k.shape[1]
    factor = abs(attention._scale(options.get("scale"), q))
    slopes = options.get("alibi_slopes")
    found = _weights(arithmetic, q, k, **options)
    keys, values = np.repeat(k, group, axis=1), np.repeat(v, group, axis=1)

    dp = np.where(found.seen, grad @ values.swapaxes(-1, -2), 0.0)
    reach = np.where(found.seen, np.abs(grad) @ np.abs(values).swapaxes(-1, -2), 0.0)
    dp_error = arithmetic.sum_error(v.shape[-1]) * reach
    if kind.stored_scores:
        dp_error = rounded(dp, dp_error, store)

    dv_grown: Any = 0.0
    if kind.renormalised:
        # The gradient is multiplied by the row sum and stored; what softmax's backward pass subtracts is 0 but for rounding.
        row_error, row_sum = _row_sum_error(arithmetic, found)
        carried = store.unit_roundoff + row_error
        lean = np.abs(grad) * (np.abs(found.p @ values) + _product(arithmetic, found.p, found.stored_error, values))
        lost = (carried + arithmetic.sum_error(v.shape[-1] + 4)) * lean.sum(axis=-1, keepdims=True)
        dp_error = dp_error + carried * reach + 2 * np.divide(lost, row_sum, out=np.zeros_like(lost), where=row_sum > 0)
        dv_grown = carried

    slope = np.where(found.seen, found.p * attention.sigmoid(-found.score), 0.0)
    weight_error = found.stored_error if kind.stored_scores else found.error
    slope_error = np.abs(1 - 2 * found.p) * weight_error + weight_error**2 + gamma(4, w) * found.p
    ds = slope * dp
    ds_error = slope * dp_error + slope_error * (np.abs(dp) + dp_error)
    stored = rounded(ds, ds_error, store)
    if kind.stored_scores:
        stored = rounded(ds, rounded(ds, stored, store), store)  # after the sigmoid, the bias and the scale
    stored = np.where(found.seen, stored, 0.0)

    seen = np.broadcast_to(found.seen, ds.shape)
    transposed, seen_transposed = ds.swapaxes(-1, -2), seen.swapaxes(-1, -2)

    def through(ds: Array, error: Array, seen: npt.NDArray[np.bool_], operand: Array) -> Array:
        bound = factor * _product(arithmetic, ds, error, operand, scaled_operand=True)
        # An implementation that scales dS before it stores it reaches the subnormal range at another magnitude.
        return bound + store.half_subnormal * (seen.astype(np.float64) @ np.abs(operand))

    dq = factor * np.abs(ds @ keys)
    dk = factor * np.abs(transposed @ q)
    dv = np.abs(found.p.swapaxes(-1, -2) @ grad)
    dq_error = through(ds, stored, seen, keys)
    dk_error = through(transposed, stored.swapaxes(-1, -2), seen_transposed, q)
    dv_error = _product(arithmetic, found.p.swapaxes(-1, -2), found.stored_error.swapaxes(-1, -2), grad)
    dv_error = dv_error + dv_grown * (found.p.swapaxes(-1, -2) @ np.abs(grad) + dv_error)
    if kind.scaled_operands or kind.stored_scores:
        dq_error, dk_error = rounded(dq, dq_error, store), rounded(dk, dk_error, store)

    return Gradients(
        q=rounded(dq, dq_error, store),
        k=_group_bound(dk, dk_error, group, arithmetic),
        v=_group_bound(dv, dv_error, group, arithmetic),
        bias=float(_total(arithmetic, ds, stored, seen, (0, 1, 2, 3))),
        alibi_slopes=None if slopes is None else _slope_bound(arithmetic, ds, stored, seen, slopes, options.get("positions")),
    )


def _weights(
    arithmetic: _Arithmetic,
    q: Array,
    k: Array,
    *,
    bias: float,
    scale: float | None = None,
    alibi_slopes: npt.ArrayLike | None = None,
    **mask: Unpack[MaskOptions],
) -> _Weights:
    store, work, kind, w = arithmetic.store, arithmetic.work, arithmetic.kind, arithmetic.w
    positions = mask.get("positions")
    score = attention.scores(q, k, bias=bias, scale=scale, alibi_slopes=alibi_slopes, positions=positions)
    seen = visible(q.shape[-2], k.shape[-2], **mask)
    keys = np.repeat(k, q.shape[1] // k.shape[1], axis=1).swapaxes(-1, -2)
    factor = abs(attention._scale(scale, q))
    reach = factor * (np.abs(q) @ np.abs(keys))
    tilt: Any = 0.0
    if alibi_slopes is not None:
        tilt = np.abs(attention._slopes(alibi_slopes, q))[..., None, None] * distance(q.shape[-2], k.shape[-2], positions)
    roundings = q.shape[-1] + _SCORE_ROUNDINGS
    error = arithmetic.sum_error(roundings, scaled_operand=True) * reach
    error = error + gamma(roundings, w) * abs(bias) + gamma(_SCORE_ROUNDINGS, w) * tilt
    if kind.stored_scores:
        # Stored: the product, the scaled product, then (each with its own operand rounded) after bias and after slope.
        product = np.abs(factor * (q @ keys)) + error
        error = error + gamma(4, store.unit_roundoff) * product + gamma(3, store.unit_roundoff) * (abs(bias) + tilt)
        error = error + 4 * store.half_subnormal

        # A product beyond the format's range is stored as an infinity, and nothing is known of its weight.
        error = np.where(np.abs(q @ keys) > store.largest, np.inf, error)
    # An infinite score is infinite however it is computed: its weight is exactly 0 or 1.
    error = np.where(np.isinf(score), 0.0, error)
    p = attention.sigmoid(score)
    small = np.minimum(error, 1.0)
    # The derivative bound grows like e^t; for large t the difference itself is the better bound, and no longer cancels.
    moved = np.where(
        error < 1,
        p * attention.sigmoid(-score) * np.expm1(small),
        np.maximum(attention.sigmoid(score + error) - p, p - attention.sigmoid(score - error)),
    )
    moved = moved + 8 * work.unit_roundoff * (p + moved) + kind.activation_error + work.smallest_normal
    p = np.where(seen, p, 0.0)
    stored_error = rounded(p, moved, store)
    if kind.renormalised:
        # The exponential's argument is a difference of logarithms, each as exact as its size allows.
        logarithm = np.where(seen, np.abs(np.log(np.maximum(p, work.smallest_normal))), 0.0)
        largest = logarithm.max(axis=-1, keepdims=True, initial=0.0)
        moved = moved + np.expm1(gamma(8, w) * (1 + logarithm + largest)) * (p + moved)
        stored_error = rounded(p, moved, store) + store.half_subnormal * (1 + p.sum(axis=-1, keepdims=True))
    return _Weights(
        seen=seen, score=score, p=p, error=np.where(seen, moved, 0.0), stored_error=np.where(seen, stored_error, 0.0)
    )


def _row_sum_error(arithmetic: _Arithmetic, found: _Weights) -> tuple[Array, Array]:
    """Relative error of each row's sum of weights, its logarithm taken and undone; and the sum: both (B, H, Nq, 1)."""
    total = found.p.sum(axis=-1, keepdims=True)
    safe = np.maximum(total, arithmetic.work.smallest_normal)
    relative = np.minimum(found.error.sum(axis=-1, keepdims=True) / safe, 1.0) + gamma(found.p.shape[-1] + 2, arithmetic.w)
    return relative + np.expm1(gamma(8, arithmetic.w) * (1 + np.abs(np.log(safe)))), total


def _product(arithmetic: _Arithmetic, left: Array, left_error: Array, right: Array, *, scaled_operand: bool = False) -> Array:
    """Bound on the error of ``left @ right`` where left is known up to ``left_error`` and the sum is rounded."""
    relative = arithmetic.sum_error(left.shape[-1] + 2, scaled_operand=scaled_operand)
    flushed = left.shape[-1] * arithmetic.work.smallest_normal
    return np.asarray((left_error + relative * (np.abs(left) + left_error)) @ np.abs(right) + flushed)


def _group_bound(value: Array, error: Array, group: int, arithmetic: _Arithmetic) -> Array:
    """Heads that share keys may be rounded to the result's dtype one by one before they are added."""
    if group == 1:
        return rounded(value, error, arithmetic.store)
    per_head = rounded(value, error, arithmetic.store)
    grown = per_head + gamma(group, arithmetic.w) * (value + per_head)
    return rounded(attention._sum_groups(value, group), attention._sum_groups(grown, group), arithmetic.store)


def _total(arithmetic: _Arithmetic, ds: Array, error: Array, seen: npt.NDArray[np.bool_], axes: tuple[int, ...]) -> Array:
    relative = gamma(int(seen.sum()) + 2, arithmetic.w)
    total = (error + relative * (np.abs(ds) + error)).sum(axis=axes)
    reach = np.asarray(np.abs(ds).sum(axis=axes))
    bound = rounded(reach, total, arithmetic.work)
    if arithmetic.kind.stored_scores:
        # Added to stored scores, an option is cast to their dtype, and its gradient is: beyond the range that is an infinity.
        bound = np.where(reach > arithmetic.store.largest, np.inf, rounded(reach, bound, arithmetic.store))
    return np.asarray(bound)


def _slope_bound(
    arithmetic: _Arithmetic,
    ds: Array,
    error: Array,
    seen: npt.NDArray[np.bool_],
    slopes: npt.ArrayLike,
    positions: Positions | None,
) -> Array:
    away = distance(ds.shape[-2], ds.shape[-1], positions)
    axes = (-1, -2) if np.asarray(slopes).ndim == 2 else (0, -1, -2)
    return _total(arithmetic, ds * away, error * away, seen, axes)
