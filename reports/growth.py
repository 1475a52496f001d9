"""How time grows with scale: the slope of a line through logarithms, with the steepest step between two neighbours."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

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

    ``low`` and ``high`` are where the slope would be if the times were where in their 95 % intervals they tilt it most; None
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
    xs = [math.log(m.scale or 1.0) for m in measurements]
    ys = [math.log(m.median_s or 1.0) for m in measurements]
    middle = sum(xs) / len(xs)
    spread = sum((x - middle) ** 2 for x in xs)
    weights = [(x - middle) / spread for x in xs]
    low = high = None
    if all(m.low_s and m.high_s for m in measurements):
        ends = [(math.log(m.low_s or 1.0), math.log(m.high_s or 1.0)) for m in measurements]
        low = sum(min(weight * a, weight * b) for weight, (a, b) in zip(weights, ends, strict=True))
        high = sum(max(weight * a, weight * b) for weight, (a, b) in zip(weights, ends, strict=True))
    steps = [(y - x) / (b - a) for (a, x), (b, y) in pairwise(zip(xs, ys, strict=True)) if b > a]
    first, last = measurements[0], measurements[-1]
    slope = sum(weight * y for weight, y in zip(weights, ys, strict=True))
    return Growth(
        family, label, first.scale_name or "scale", first.scale or 0.0, last.scale or 0.0, slope, low, high, max(steps)
    )
