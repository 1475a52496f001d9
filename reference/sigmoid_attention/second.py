"""Derivatives beyond the first along one direction of the queries: forward mode, and the gradients of a gradient.

With W a direction, (B, H, Nq, D), T = scale W K^T is how the scores move, and g = P (1 - P), h = g (1 - 2 P) are the first two
derivatives of the sigmoid. G is the gradient at the output, dP = G V^T and dS = g dP as in `attention.backward`. Then

    the output's derivative along W   is   dO = (g T) V
    phi = sum(dQ * W)  is  sum(dS * T),  and its gradients are   dphi/dV = (g T)^T G,   dphi/dG = dO,
                                                                 dphi/dQ = scale U K,   dphi/dK = scale (U^T Q + dS^T W)
    with U = h dP T.

The bounds are for float32 and float64 input, which is what second derivatives are taken in: nothing is stored in less. They
follow `bounds`: an error e of a weight moves g by |1 - 2P| e + e^2 and h by |1 - 6P + 6P^2| e + 3 e^2 + 2 e^3,
each product of n terms adds gamma(n + 2), and every other step is one of at most eight roundings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from reference.rounding import gamma
from reference.sigmoid_attention import attention
from reference.sigmoid_attention.attention import ScoreOptions
from reference.sigmoid_attention.bounds import _arithmetic, _weights

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class _Known:
    """A quantity and how far it may be off; products and sums carry both."""

    value: Array
    error: Array

    @property
    def size(self) -> Array:
        return np.asarray(np.abs(self.value) + self.error)

    def times(self, other: _Known, w: float) -> _Known:
        """Elementwise, with up to eight roundings."""
        value, size = self.value * other.value, self.size * other.size
        return _Known(value, size - np.abs(value) + gamma(8, w) * size)

    def into(self, other: _Known, w: float) -> _Known:
        """The matrix product, each of its sums in any order."""
        size = self.size @ other.size
        return _Known(
            self.value @ other.value,
            size - np.abs(self.value) @ np.abs(other.value) + gamma(self.value.shape[-1] + 2, w) * size,
        )

    def plus(self, other: _Known, w: float) -> _Known:
        return _Known(self.value + other.value, self.error + other.error + gamma(2, w) * (self.size + other.size))

    @property
    def turned(self) -> _Known:
        return _Known(self.value.swapaxes(-1, -2), self.error.swapaxes(-1, -2))


def second_derivatives(
    q: npt.ArrayLike, k: npt.ArrayLike, v: npt.ArrayLike, grad: npt.ArrayLike, direction: npt.ArrayLike, *, dtype: str,
    numerical_class: str = "", **options: Unpack[ScoreOptions],
) -> dict[str, tuple[Array, Array]]:  # fmt: skip
    """Value and bound of ``tangent`` (the output along ``direction``), and of phi's gradients ``q``, ``k``, ``v``, ``grad``.

    Shapes are those of the output, q, k, v and grad. ValueError for a 16-bit dtype, and for fewer key heads than query heads.
    """
    q, k, v, grad, direction = (attention._real(x) for x in (q, k, v, grad, direction))
    arithmetic = _arithmetic(dtype, numerical_class)
    if arithmetic.store.precision < arithmetic.work.precision or q.shape[1] != k.shape[1]:
        raise ValueError(
            f"found {dtype}, {q.shape[1]} query and {k.shape[1]} key heads; expected float32 or float64, equal heads"
        )
    w = arithmetic.w
    weights = _weights(arithmetic, q, k, **options)
    seen: Any = weights.seen
    p, e = weights.p, weights.stored_error
    one_less = np.where(seen, attention.sigmoid(-weights.score), 0.0)
    first = _Known(p * one_less, np.abs(1 - 2 * p) * e + e**2 + gamma(4, w) * p)
    second = _Known(first.value * (1 - 2 * p), np.abs(1 - 6 * p * one_less) * e + 3 * e**2 + 2 * e**3 + gamma(8, w) * p)
    exact = {name: _Known(x, np.zeros_like(x)) for name, x in (("q", q), ("k", k), ("v", v), ("g", grad), ("w", direction))}
    scale = attention._scale(options.get("scale"), q)
    factor = _Known(np.full((1, 1, 1, 1), scale), np.full((1, 1, 1, 1), w * abs(scale)))
    moved = factor.times(exact["w"].into(exact["k"].turned, w), w)
    reach = exact["g"].into(exact["v"].turned, w)
    ds, turned = first.times(reach, w), first.times(moved, w)
    u = second.times(reach, w).times(moved, w)
    found = {
        "tangent": turned.into(exact["v"], w),
        "q": factor.times(u.into(exact["k"], w), w),
        "k": factor.times(u.turned.into(exact["q"], w).plus(ds.turned.into(exact["w"], w), w), w),
        "v": turned.turned.into(exact["g"], w),
    }
    found["grad"] = found["tangent"]
    floor = arithmetic.work.smallest_normal * max(q.shape[2], k.shape[2])
    return {name: (x.value, x.error + gamma(2, w) * x.size + floor) for name, x in found.items()}
