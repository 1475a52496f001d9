"""Draw places at which answers are verified, from entropy that no implementation can know beforehand."""

from __future__ import annotations

import os

import numpy as np
import numpy.typing as npt

# Bound here, before any implementation is loaded: what it replaces in these modules later changes nothing.
_urandom, _Generator, _PCG64 = os.urandom, np.random.Generator, np.random.PCG64


def generator() -> np.random.Generator:
    """A random generator seeded by the operating system."""
    return _Generator(_PCG64(int.from_bytes(_urandom(16), "big")))


def one_in_each(length: int, tile: int, rng: np.random.Generator) -> npt.NDArray[np.intp]:
    """One random index in each ``tile`` of 0..length-1, and the last index: sorted, distinct.

    Whatever is wrong in ``tile`` neighbours that begin at a multiple of ``tile`` is met with certainty.
    """
    starts = np.arange(0, length, tile)
    chosen = starts + rng.integers(np.minimum(tile, length - starts))
    return np.unique(np.append(chosen, length - 1)) if length else chosen
