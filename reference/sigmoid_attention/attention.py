"""Sigmoid attention in closed form, forward and backward, in float64.

Layout: q ``(B, H, Nq, D)``, k ``(B, Hk, Nk, D)``, v ``(B, Hk, Nk, Dv)``, O ``(B, H, Nq, Dv)``; ``Hk`` divides ``H`` and
query head ``h`` reads key head ``h // (H // Hk)``. Every function takes the same options:

    scale          multiplies ``q . k``; None is ``1/sqrt(D)``
    bias           one scalar added to every score after scaling; never implied, see `log_length_bias`
    causal, window, key_lengths, positions    see `masks.visible`; a pair that is not visible has weight exactly 0
    alibi_slopes   (H,) or (B, H): ``slope * |i + Nk - Nq - j|`` is subtracted from the score

The forward functions are analytic in q, k, v, bias and alibi_slopes and accept complex values, so that a complex step
differentiates them to full precision.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Required, Unpack

import numpy as np
import numpy.typing as npt

from reference.sigmoid_attention.masks import MaskOptions, Positions, distance, visible

Array = npt.NDArray[np.float64]


class ScoreOptions(MaskOptions, total=False):
    """The keywords of every function here."""

    bias: Required[Any]
    scale: float | None
    alibi_slopes: npt.ArrayLike | None


@dataclass(frozen=True)
class Gradients:
    """One array per input, of that input's shape; ``alibi_slopes`` is None where no slopes were given."""

    q: Array
    k: Array
    v: Array
    bias: float
    alibi_slopes: Array | None


def log_length_bias(length: int) -> float:
    """``-log(length)``: the bias that the paper recommends (section 3), which keeps a row's weights summing to about 1.

    ``length`` is one constant, the training or maximum length, for every row of every batch, causal or not (the published
    training configuration uses -7.62 = -log 2048 whatever it evaluates at). It is a helper and never a default: the
    published kernel's own default is 0. Raises ValueError below 1.
    """
    if length < 1:
        raise ValueError(f"length {length}: expected at least 1")
    return -math.log(length)


def sigmoid(x: npt.ArrayLike) -> Any:
    """``1 / (1 + exp(-x))`` without overflow, real or complex, any shape; relative accuracy for very negative x too."""
    values = np.asarray(x)
    positive = values.real >= 0
    # Each branch only ever sees the half line on which its exponential cannot overflow.
    decayed = np.exp(np.where(positive, -values, values))
    return np.where(positive, 1.0, decayed) / (1.0 + decayed)


def scores(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    *,
    bias: Any,
    scale: float | None = None,
    alibi_slopes: npt.ArrayLike | None = None,
    positions: Positions | None = None,
) -> Any:
    """``scale q k^T + bias - slope |i + Nk - Nq - j|``, shape (B, H, Nq, Nk), masks not yet applied."""
    q, k = _operand(q), _operand(k)
    group = _group(q, k)
    result = _scale(scale, q) * (q @ np.repeat(k, group, axis=1).swapaxes(-1, -2)) + bias
    if alibi_slopes is not None:
        result = result - _slopes(alibi_slopes, q)[..., None, None] * distance(q.shape[-2], k.shape[-2], positions)
    return result


def weights(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    *,
    bias: Any,
    scale: float | None = None,
    alibi_slopes: npt.ArrayLike | None = None,
    **mask: Unpack[MaskOptions],
) -> Any:
    """``P = sigmoid(scores)`` where visible and exactly 0 elsewhere, shape (B, H, Nq, Nk)."""
    raw = scores(q, k, bias=bias, scale=scale, alibi_slopes=alibi_slopes, positions=mask.get("positions"))
    activated = sigmoid(raw)
    seen = visible(activated.shape[-2], activated.shape[-1], **mask)
    _check_batch(seen, activated)
    return np.where(seen, activated, 0.0)


def forward(q: npt.ArrayLike, k: npt.ArrayLike, v: npt.ArrayLike, **options: Unpack[ScoreOptions]) -> Any:
    """``O = P V`` (paper, section 2; Algorithm 1), shape (B, H, Nq, Dv), float64 (complex for complex input).

    Raises ValueError for shapes that do not fit the layout of this module.
    """
    v = _operand(v)
    p = weights(q, k, **options)
    _check_values(v, np.asarray(k))
    return p @ np.repeat(v, p.shape[1] // v.shape[1], axis=1)


def backward(
    q: npt.ArrayLike,
    k: npt.ArrayLike,
    v: npt.ArrayLike,
    grad: npt.ArrayLike,
    *,
    bias: float,
    scale: float | None = None,
    alibi_slopes: npt.ArrayLike | None = None,
    **mask: Unpack[MaskOptions],
) -> Gradients:
    """Gradients of ``sum(O * grad)``, with ``grad`` (B, H, Nq, Dv) the gradient at the output (paper, Algorithm 2).

        dP = grad V^T,  dS = P (1 - P) dP,  dQ = scale dS K,  dK = scale dS^T Q,  dV = P^T grad,
        dbias = sum dS,  dslope = -sum dS |i + Nk - Nq - j|

    With no normalisation there is no row sum in dS, and neither O nor a log-sum-exp is needed. Heads that share keys add
    their dK and dV.
    """
    q, k, v, grad = (_real(x) for x in (q, k, v, grad))
    group = _group(q, k)
    positions = mask.get("positions")
    raw = scores(q, k, bias=bias, scale=scale, alibi_slopes=alibi_slopes, positions=positions)
    seen = visible(q.shape[-2], k.shape[-2], **mask)
    _check_batch(seen, raw)
    _check_values(v, k)
    p = np.where(seen, sigmoid(raw), 0.0)
    # sigmoid(-s) is 1 - P without the cancellation near P = 1.
    slope = np.where(seen, p * sigmoid(-raw), 0.0)
    ds = slope * (grad @ np.repeat(v, group, axis=1).swapaxes(-1, -2))
    factor = _scale(scale, q)
    return Gradients(
        q=factor * (ds @ np.repeat(k, group, axis=1)),
        k=_sum_groups(factor * (ds.swapaxes(-1, -2) @ q), group),
        v=_sum_groups(p.swapaxes(-1, -2) @ grad, group),
        bias=float(ds.sum()),
        alibi_slopes=None if alibi_slopes is None else _slope_gradient(ds, np.asarray(alibi_slopes), positions),
    )


def _slope_gradient(ds: Array, slopes: npt.NDArray[Any], positions: Positions | None) -> Array:
    per_head = -(ds * distance(ds.shape[-2], ds.shape[-1], positions)).sum(axis=(-1, -2))
    return np.asarray(per_head if slopes.ndim == 2 else per_head.sum(axis=0))


def _sum_groups(per_head: Array, group: int) -> Array:
    batch, heads, rows, columns = per_head.shape
    return np.asarray(per_head.reshape(batch, heads // group, group, rows, columns).sum(axis=2))


def _operand(x: npt.ArrayLike) -> npt.NDArray[Any]:
    values = np.asarray(x)
    if values.ndim != 4:
        raise ValueError(f"found shape {values.shape}, expected (batch, heads, length, dim)")
    return values if np.iscomplexobj(values) else values.astype(np.float64)


def _real(x: npt.ArrayLike) -> Array:
    return np.asarray(_operand(x), dtype=np.float64)


def _group(q: npt.NDArray[Any], k: npt.NDArray[Any]) -> int:
    if q.shape[0] != k.shape[0] or q.shape[3] != k.shape[3] or not k.shape[1] or q.shape[1] % k.shape[1]:
        raise ValueError(
            f"q {q.shape} and k {k.shape}: expected equal batch and head dim, and q's heads a multiple of k's heads"
        )
    return int(q.shape[1] // k.shape[1])


def _check_values(v: npt.NDArray[Any], k: npt.NDArray[Any]) -> None:
    if v.shape[:3] != k.shape[:3]:
        raise ValueError(f"k {k.shape} and v {v.shape}: expected equal batch, heads and length")


def _check_batch(seen: npt.NDArray[np.bool_], raw: npt.NDArray[Any]) -> None:
    if seen.shape[0] not in (1, raw.shape[0]):
        raise ValueError(f"key_lengths has {seen.shape[0]} rows, expected one per batch row ({raw.shape[0]})")


def _scale(scale: float | None, q: npt.NDArray[Any]) -> float:
    return 1.0 / math.sqrt(q.shape[-1]) if scale is None else scale


def _slopes(alibi_slopes: npt.ArrayLike, q: npt.NDArray[Any]) -> npt.NDArray[Any]:
    slopes = np.asarray(alibi_slopes)
    if slopes.shape not in ((q.shape[1],), q.shape[:2]):
        raise ValueError(f"alibi_slopes {slopes.shape}, expected ({q.shape[1]},) or {q.shape[:2]}")
    return slopes
