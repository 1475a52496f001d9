"""How time grows with scale: the slope of a line through logarithms, with the steepest step between two neighbours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from conformance.records.schema import MeasurementRecord


class Family(NamedTuple):
    """Measurements that differ in their scale and in their implementation alone."""

    run: str
    device: str
    family: str
    dtype: str
    cache: str


@dataclass(frozen=True)
class Growth:
    """Time is about a power of the scale: ``slope`` is the exponent. 1 is in proportion, 2 is with the square.

    ``low`` and ``high`` are the least and the largest slope that times inside their 95 % intervals can give; None
    where there are no intervals. ``steepest`` is the largest slope between two neighbouring scales.
    """

    family: Family
    label: str
    scale_name: str
    first: float
    last: float
    slope: float
    low: float | None
    high: float | None
    steepest: float


def cut_into_pieces(members: Sequence[MeasurementRecord]) -> bool:
    """Whether the amount falls where the scale rises: the same work in larger pieces, of which each has a cost."""
    amounts = [m.amount for m in sorted(members, key=lambda m: m.scale or 0.0)]
    return amounts[0] > amounts[-1] > 0 and all(earlier >= later for earlier, later in pairwise(amounts))


def growth(family: Family, label: str, measurements: Sequence[MeasurementRecord]) -> Growth:
    """``measurements`` of one implementation along a family: two scales at the least, in their order, with positive times."""
    x = np.log([m.scale or 1.0 for m in measurements])
    y = np.log([m.median_s or 1.0 for m in measurements])
    weights = (x - x.mean()) / ((x - x.mean()) ** 2).sum()
    low = high = None
    if all(m.low_s and m.high_s for m in measurements):
        ends = weights * np.log([[m.low_s or 1.0 for m in measurements], [m.high_s or 1.0 for m in measurements]])
        low, high = float(ends.min(axis=0).sum()), float(ends.max(axis=0).sum())
    wider = np.diff(x) > 0
    steepest = float((np.diff(y)[wider] / np.diff(x)[wider]).max())
    first, last = measurements[0], measurements[-1]
    name, slope = first.scale_name or "scale", float(weights @ y)
    return Growth(family, label, name, first.scale or 0.0, last.scale or 0.0, slope, low, high, steepest)
