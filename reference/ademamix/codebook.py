"""The 8-bit dynamic code book, whose gaps bound what block-wise quantised moments may be off (arXiv:2110.02861, section 2.2).

A moment is divided by the largest magnitude of its block and stored as the index of the nearest of 256 numbers in [-1, 1]
(signed) or [0, 1] (unsigned): an exponent in unary, base 10, and a linear fraction in the bits that are left.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@lru_cache
def dynamic_code_book(signed: bool) -> tuple[float, ...]:
    """The code book in increasing order: 0, 1, and per decade ``10**-6 .. 10**0`` the centres of its linear fractions.

    Seven exponents; each decade down halves the number of fractions, because the unary exponent takes one more bit.
    """
    values = {0.0, 1.0}
    exponents = 7
    for decade in range(exponents):
        count = 2 ** (decade if signed else decade + 1)
        edges = np.linspace(0.1, 1.0, count + 1)
        centres = (edges[:-1] + edges[1:]) / 2 * 10.0 ** (decade - exponents + 1)
        values.update(float(c) for c in centres)
        if signed:
            values.update(-float(c) for c in centres)
    return tuple(sorted(values))


@lru_cache
def _envelope(signed: bool) -> tuple[Array, Array]:
    code = np.array(dynamic_code_book(signed))
    # A cell can be met as soon as |x| passes its end nearer to zero. The lowest code of the signed book is short of -1 by
    # half a gap of the top decade, so that nothing below it is further off than the cells above it allow.
    reach = np.minimum(np.abs(code[:-1]), np.abs(code[1:]))
    half_gap = (code[1:] - code[:-1]) / 2
    order = np.argsort(reach, kind="stable")
    return reach[order], np.maximum.accumulate(half_gap[order])


def quantisation_error(magnitude: npt.ArrayLike, signed: bool) -> Array:
    """Largest distance to the nearest code of any x with ``|x| <= magnitude``; both relative to the block's maximum."""
    reach, size = _envelope(signed)
    magnitude = np.minimum(np.asarray(magnitude, dtype=np.float64), 1.0)
    return size[np.searchsorted(reach, magnitude, side="right") - 1]
