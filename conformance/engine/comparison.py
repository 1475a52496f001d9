"""Compare what was got with what was expected, within a bound. NaN, infinity and wrong shapes have defined results."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Comparison:
    """One quantity compared with its expected value. ``margin`` is the largest |error| / bound; above 1 it fails."""

    quantity: str
    margin: float
    worst: str
    """Where the margin is taken: an index, or a position in a text; empty where there is only one place."""
    got: str
    expected: str
    bound: str
    got_values: Any = None
    """The whole of what was got, kept for the diagnosis; never written to a record."""
    bound_values: Any = None
    resolution: float | None = None
    """What the bound can tell, by `resolution_of`; 0 for equality, None where there is no change to compare it with."""

    @property
    def passed(self) -> bool:
        # Written so that a NaN margin fails: every comparison with NaN is false.
        return self.margin <= 1


def compare(
    quantity: str, got: npt.ArrayLike, expected: npt.ArrayLike, bound: npt.ArrayLike, effect: npt.ArrayLike | None = None
) -> Comparison:
    """Compare ``got`` with ``expected`` elementwise, within the absolute ``bound`` (broadcast to the shape of expected).

    An element agrees where both are NaN, or both the same infinity. For anything else
    that is not finite, a wrong shape, or a bound that is negative or NaN, the margin is inf. A bound of 0 asks for equality.
    A bound of inf says that the element may have any value: its margin is 0.

    ``effect`` (broadcast likewise) is by how much the quantity changes, from which comes the resolution: the distance of what
    is expected from what would stand there if nothing had been computed. Of a parameter it is the way that it went; 0 where a
    check makes no claim. Where it is not given it is the size of the quantity, the root of its mean square: right for
    outputs, gradients and moments, which would be 0.
    """
    got_array = np.asarray(got, dtype=np.float64)
    expected_array = np.asarray(expected, dtype=np.float64)
    if got_array.shape != expected_array.shape:
        return Comparison(
            quantity, math.inf, "", f"shape {got_array.shape}", f"shape {expected_array.shape}", "same shape", got_array
        )
    bound_array = np.broadcast_to(np.asarray(bound, dtype=np.float64), expected_array.shape)
    if expected_array.size == 0:
        return Comparison(quantity, 0.0, "", "empty", "empty", "", got_array, bound_array)
    margins = margins_of(got_array, expected_array, bound_array)
    worst = np.unravel_index(int(np.argmax(margins)), margins.shape)
    return Comparison(
        quantity,
        float(margins[worst]),
        "(" + ", ".join(str(int(i)) for i in worst) + ")" if worst else "",
        repr(float(got_array[worst])),
        repr(float(expected_array[worst])),
        f"{float(bound_array[worst]):.3e}",
        got_array,
        bound_array,
        resolution_of(expected_array, bound_array, _size(expected_array) if effect is None else np.abs(effect)),
    )


def resolution_of(expected: Array, bound: Array, effect: npt.ArrayLike) -> float | None:
    """The largest bound / effect. None where nothing changes.

    From 1 on a pass proves nothing for some element: the answer that nothing happened would be within its bound. An element
    counts where it should change; not where its bound is inf, which says that no claim is made, unless that is so everywhere.
    One that should be NaN or infinite is compared exactly, and so is everything where all bounds are 0: 0.
    """
    size = np.broadcast_to(np.asarray(effect, dtype=np.float64), bound.shape)
    exact, claimed = ~np.isfinite(expected), np.isfinite(bound)
    with np.errstate(over="ignore"):
        ratios = np.where(exact, 0.0, np.divide(bound, size, out=np.zeros(bound.shape), where=claimed & (size > 0)))
    counted = ratios[claimed & (exact | (size > 0))]
    if counted.size:
        return float(counted.max())
    if not bound.any():
        return 0.0
    return math.inf if size.any() else None


def _size(values: Array) -> float:
    """The root of the mean square of what is finite."""
    finite = values[np.isfinite(values)]
    largest = float(np.abs(finite).max(initial=0.0))
    return largest * float(np.sqrt(np.mean((finite / largest) ** 2))) if largest else 0.0


def margins_of(got: Array, expected: Array, bound: Array) -> Array:
    """|got - expected| / bound, elementwise, by the rules that `compare` states; never NaN."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        error = np.abs(got - expected)
        same = (got == expected) | (np.isnan(got) & np.isnan(expected))
        ratio = np.where(same, 0.0, error / bound)
    ratio = np.where(np.isinf(bound) & (bound > 0), 0.0, ratio)
    # A NaN that is left comes from a NaN on one side only, or from a NaN bound. Both are failures.
    ratio = np.where(np.isnan(ratio), np.inf, ratio)
    return np.where((bound >= 0) | np.isinf(ratio), ratio, np.inf)


def equal(quantity: str, got: Any, expected: Any, where: str = "") -> Comparison:
    """Compare discrete things (texts, lists, flags): margin 0 where equal, inf where not."""
    margin = 0.0 if type(got) is type(expected) and got == expected else math.inf
    return Comparison(quantity, margin, where, _shorten(got), _shorten(expected), "equality", got, resolution=0.0)


def _shorten(value: Any, limit: int = 400) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[: limit - 20]}... ({len(text)} characters)"
