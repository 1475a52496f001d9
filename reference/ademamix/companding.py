"""Moments in 8 bits as what an update is made of: the root of the second moment, and the first moments' ratios to that root.

An update is ``m / sqrt(nu)``, which is about as large in every element, however differently their gradients are scaled. So the
root ``s = sqrt(nu)`` is stored as ``S (c / 255)**3`` and a first moment as ``R (k / 127)**2 d`` with the sign of ``k``, where
``S`` and ``R`` are the largest root and ratio of a block and ``d`` is the root as it was stored (at least `SMALLEST_ROOT`).
The powers keep gaps small beside small values. A stored value is one of the two neighbours of what it stands for.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

ROOT_CODES = 255
RATIO_CODES = 127
SMALLEST_ROOT = 2.0**-63
"""The divisor of ratios where the stored root is smaller; its square is just above float32's smallest normal number."""


def root_gap(share: npt.ArrayLike) -> Array:
    """Distance of the neighbours around any root up to ``share`` of its block's largest, relative to that largest."""
    # Cube roots of some libraries are off in the last place: at the border of two cells the larger one is taken.
    cell = np.minimum(np.floor(ROOT_CODES * np.cbrt(np.minimum(share, 1.0)) * (1 + 2.0**-50)), ROOT_CODES - 1)
    return np.asarray((3 * cell * (cell + 1) + 1) / ROOT_CODES**3)


def ratio_gap(share: npt.ArrayLike) -> Array:
    """Distance of the neighbours around any ratio up to ``share`` of its block's largest, relative to that largest."""
    cell = RATIO_CODES * np.sqrt(np.minimum(share, 1.0))
    return np.asarray((2 * cell + 1) / RATIO_CODES**2)
