"""A statistical model beside the bounds: on random data, rounding errors have no bias, and a known spread.

A worst-case bound admits every error that some honest rounding could make, so a small systematic one hides under it: a
weight truncated instead of rounded, a bias kept in bfloat16. On random data the roundings of one storage format are known
better than that. Model (checked on honest variants in our own tests):

    an output is ``L R`` plus an error, and the error is the sum of
      - one rounding of each stored element of L (weights for O and dV, score gradients for dQ and dK), uniform within
        ``u |L|`` and independent of the others;
      - one rounding of the result, uniform within half a unit in its last place;
      - all that happens in the working precision, of any sign and order: at most what the worst-case bound allows to
        input stored in that precision.

A variable that is uniform on [-c, c] is sub-Gaussian with variance proxy c^2 / 3, and so, added up, are all linear functions
of the roundings. Hence three theorems, each of which an honest implementation fails with probability at most ``alpha``:

    lean     ``|sum w e| <= sqrt(2 log(2 / alpha)) s + sum |w| B``, s^2 the variance of ``sum w e``   (Chernoff)
    largest  the same for every element, with ``alpha`` shared among them                          (union bound)
    spread   ``sum (e/sigma)^2 <= (sqrt(tr + 2 sqrt(tr2 t) + 2 norm t) + |B/sigma|)^2``, t = log(1 / alpha), with tr, tr2
             and norm the trace of the covariance, of its square, and its norm (Hsu, Kakade and Zhang 2012, theorem 2.1)

B is the working precision's share. Only classes that store nothing but those two are modelled.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from reference.rounding import FLOAT32, Format, format_of
from reference.sigmoid_attention import attention
from reference.sigmoid_attention.attention import ScoreOptions
from reference.sigmoid_attention.bounds import backward_bounds, forward_bound
from reference.sigmoid_attention.classes import class_of

Array = npt.NDArray[np.float64]

FALSE_ALARM = 1e-9
"""How often each statistic may fail an honest implementation. A million runs of the suite make some 10^7 of them."""


@dataclass(frozen=True)
class Product:
    """One result ``left @ right``, rounded to ``store``, with what is known of its error."""

    value: Array
    left: Array
    right: Array
    working: Array
    """Bound on what the working precision adds, of ``value``'s shape."""
    store: Format
    directions: dict[str, Array]
    """Changes of the result that a systematic error would make, by name."""
    result: Format | None = None
    """What the result is rounded to, where that is not ``store``."""

    def sigma(self) -> Array:
        """Standard deviation proxy of each element's rounding error."""
        return np.sqrt((self._stored() ** 2 @ self.right**2 + self._rounded() ** 2) / 3)

    def weights(self, direction: str) -> Array:
        """The ``w`` that makes ``sum w e`` most sensitive to an error along a direction; "" is the constant one."""
        sigma = np.maximum(self.sigma(), np.finfo(np.float64).tiny)
        return 1 / sigma if not direction else self.directions[direction] / sigma**2

    def lean_limit(self, w: Array, alpha: float = FALSE_ALARM) -> float:
        """What ``|sum w e|`` exceeds with probability at most alpha."""
        through = w @ self.right.swapaxes(-1, -2)
        variance = ((self._stored() * through) ** 2).sum() + ((w * self._rounded()) ** 2).sum()
        return float(math.sqrt(2 * math.log(2 / alpha) * variance / 3) + (np.abs(w) * self.working).sum())

    def largest_limit(self, alpha: float = FALSE_ALARM) -> Array:
        """What any ``|e|`` exceeds with probability at most alpha, element by element."""
        return math.sqrt(2 * math.log(2 * self.value.size / alpha)) * self.sigma() + self.working

    def spread_limit(self, alpha: float = FALSE_ALARM) -> float:
        """What the root of the sum of ``(e / sigma)^2`` exceeds with probability at most alpha."""
        trace, square, norm, linear = self._spread
        t = math.log(1 / alpha)
        return math.sqrt(trace + 2 * math.sqrt(square * t) + 2 * norm * t) + linear

    @functools.cached_property
    def _spread(self) -> tuple[float, float, float, float]:
        """Of the covariance in units of sigma: trace, trace of the square, norm; and the working precision's share."""
        sigma = np.maximum(self.sigma(), np.finfo(np.float64).tiny)
        # Rows are independent; within one, channels share the roundings of its weights.
        covariance = np.einsum("bhij,bhjc,bhjd->bhicd", self._stored() ** 2, self.right, self.right) / 3
        covariance += (self._rounded() ** 2 / 3)[..., None] * np.eye(self.value.shape[-1])
        covariance /= sigma[..., :, None] * sigma[..., None, :]
        squares = (covariance**2).sum(axis=(-1, -2))
        linear = float(np.sqrt(((self.working / sigma) ** 2).sum()))
        return float(self.value.size), float(squares.sum()), math.sqrt(float(squares.max())), linear

    def _stored(self) -> Array:
        return self.store.unit_roundoff * np.abs(self.left)

    def _rounded(self) -> Array:
        _, exponent = np.frexp(self.value)
        result = self.result or self.store
        return np.asarray(np.ldexp(result.unit_roundoff, exponent - 1) + result.half_subnormal)


def is_modelled(numerical_class: str) -> bool:
    """Whether the class stores nothing but weights, score gradients and results."""
    kind = class_of(numerical_class)
    return not (kind.stored_scores or kind.scaled_operands or kind.renormalised)


def products(
    q: Array, k: Array, v: Array, grad: Array, *, dtype: str, numerical_class: str = "", **options: Unpack[ScoreOptions]
) -> dict[str, Product]:
    """The output and the gradients as products, for as many key heads as query heads and a 16-bit dtype.

    The gradient of the bias is the product of all score gradients, in one row, with ones, and that of a slope the product of
    its head's with the distances; their results are float32.
    """
    if q.shape[1] != k.shape[1]:
        raise ValueError(f"{q.shape[1]} query heads and {k.shape[1]} key heads: the model takes as many of both")
    given: dict[str, Any] = {**options, "dtype": "float32", "numerical_class": numerical_class}
    scale = options.get("scale")
    store = format_of(dtype)
    p = attention.weights(q, k, **options)
    raw = attention.scores(q, k, bias=options["bias"], scale=scale, alibi_slopes=options.get("alibi_slopes"))
    slope = np.where(p == 0, 0.0, p * attention.sigmoid(-raw))  # p is 0 where masked, whatever the score
    factor = attention._scale(scale, q)
    tilted = attention.scores(q, k, bias=0.0, scale=scale)
    unscaled = slope * (grad @ v.swapaxes(-1, -2))
    ds = factor * unscaled
    working, output = backward_bounds(q, k, v, grad, **given), p @ v
    dq, dk, dv = ds @ k, ds.swapaxes(-1, -2) @ q, p.swapaxes(-1, -2) @ grad
    by_slope = (
        {} if working.alibi_slopes is None else {"gradient of alibi_slopes": _by_slope(unscaled, working.alibi_slopes, store)}
    )
    return by_slope | {
        "output": Product(
            output, p, v, forward_bound(q, k, v, **given), store,
            {"value": output, "bias": slope @ v, "scale": (slope * tilted) @ v},
        ),
        "gradient of q": Product(dq, ds, k, working.q, store, {"value": dq}),
        "gradient of k": Product(dk, ds.swapaxes(-1, -2), q, working.k, store, {"value": dk}),
        "gradient of v": Product(
            dv, p.swapaxes(-1, -2), grad, working.v, store, {"value": dv, "bias": slope.swapaxes(-1, -2) @ grad}
        ),
        "gradient of bias": Product(
            unscaled.sum(keepdims=True), unscaled.reshape(1, 1, 1, -1), np.ones((1, 1, unscaled.size, 1)),
            np.full((1, 1, 1, 1), working.bias), store, {}, result=FLOAT32,
        ),
    }  # fmt: skip


def _by_slope(ds: Array, working: Array, store: Format) -> Product:
    """The gradient of the slopes (H,), or (B, H), from the score gradients: one product with the distances for each slope."""
    heads, nq, nk = ds.shape[1:]
    distance = np.abs(np.arange(nk) - np.arange(nq)[:, None] - (nk - nq)).astype(np.float64)
    rows = 1 if working.ndim == 1 else len(ds)
    left = ds.reshape(rows, -1, heads, 1, nq * nk).swapaxes(1, 2).reshape(rows, heads, 1, -1)
    right = np.broadcast_to(np.resize(-distance, left.shape[-1])[:, None], (rows, heads, left.shape[-1], 1))
    return Product(left @ right, left, right, working.reshape(rows, heads, 1, 1), store, {}, result=FLOAT32)
