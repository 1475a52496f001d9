"""Where a margin or a ratio lies on the chart: logarithmic, with rails for what a logarithm cannot place."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from reports.numbers import significant

GAP = 10.0
"""Points between a rail and the logarithmic part."""
LEAST_REACH = math.log10(2.4)
"""Decades that the axis of speeds reaches to either side of 1, however close together they are."""
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


@dataclass(frozen=True)
class Zone:
    """A stretch of the x axis: ``zero`` and ``inf`` are rails, ``pass`` and ``fail`` logarithmic (in decades)."""

    kind: str
    left: float
    right: float
    low: float = 0.0
    high: float = 0.0


@dataclass(frozen=True)
class MarginScale:
    zones: tuple[Zone, ...]

    def x(self, margin: float) -> float:
        kind = "zero" if margin <= 0 else "inf" if math.isinf(margin) else "pass" if margin <= 1 else "fail"
        zone = self.zone(kind)
        assert zone is not None, f"the scale was built without margins like {margin}"
        if kind in ("zero", "inf"):
            return (zone.left + zone.right) / 2
        return zone.left + (math.log10(margin) - zone.low) / (zone.high - zone.low) * (zone.right - zone.left)

    def zone(self, kind: str) -> Zone | None:
        return next((zone for zone in self.zones if zone.kind == kind), None)

    @property
    def threshold(self) -> float:
        """Where a margin of 1 lies: the line between pass and fail."""
        fail = self.zone("fail") or self.zone("inf")
        assert fail is not None
        return fail.left - (0 if fail.kind == "fail" else GAP / 2)

    def ticks(self) -> list[tuple[float, str]]:
        """Positions and labels of the logarithmic zones, few enough to stand apart."""
        found: list[tuple[float, str]] = []
        for zone in self.zones:
            if zone.kind not in ("pass", "fail"):
                continue
            first, last = math.ceil(zone.low), math.floor(zone.high)
            step = max(1, math.ceil((last - first + 1) / max(1, int((zone.right - zone.left) / 52))))
            # Counted from 1 outwards, so that the line itself always has its label.
            for power in range(first, last + 1):
                if power % step == 0 and not (zone.kind == "fail" and power == 0):
                    found.append((self._at(zone, power), power_of_ten(power)))
            if zone.kind == "pass" and last - first <= 2:
                for power in range(first, last):
                    found += [(self._at(zone, power + math.log10(k)), significant(k * 10.0**power, 1)) for k in (2, 5)]
        return sorted(found)

    @staticmethod
    def _at(zone: Zone, power: float) -> float:
        return zone.left + (power - zone.low) / (zone.high - zone.low) * (zone.right - zone.left)


def margin_scale(margins: Sequence[float], left: float, right: float) -> MarginScale:
    """A scale that places all of ``margins`` between ``left`` and ``right``, the line at 1 always among them."""
    passed = [math.log10(m) for m in margins if 0 < m <= 1]
    failed = [math.log10(m) for m in margins if 1 < m < math.inf]
    has_zero, has_infinite = any(m <= 0 for m in margins), any(math.isinf(m) for m in margins)
    width = right - left
    if not passed and not failed:
        half = (left + right) / 2
        return MarginScale((Zone("zero", left, half - GAP / 2), Zone("inf", half + GAP / 2, right)))
    rail = 0.11 * width
    # A little air on either side, so that no mark stands on the edge.
    low = min(-1.0, 1.04 * min(passed, default=-1.0) - 0.05)
    high = max(1.0, 1.06 * max(failed) + 0.1) if failed else 0.15
    zones = []
    start, stop = left, right
    if has_zero:
        zones.append(Zone("zero", left, left + rail))
        start = left + rail + GAP
    if has_infinite:
        stop = right - rail - GAP
    # Below 1 is where implementations are told apart; failures, however large, take at most 40 % of the room.
    share = max(0.6, -low / (high - low)) if failed else 0.85 if has_infinite else 0.95
    line = start + share * (stop - start)
    zones += [Zone("pass", start, line, low, 0.0), Zone("fail", line, stop, 0.0, high)]
    if has_infinite:
        zones.append(Zone("inf", right - rail, right))
    return MarginScale(tuple(zones))


@dataclass(frozen=True)
class RatioScale:
    """A logarithmic axis from ``low`` to ``high`` (in decades) between two heights."""

    bottom: float
    top: float
    low: float
    high: float

    def y(self, ratio: float) -> float:
        return self.bottom + (math.log10(ratio) - self.low) / (self.high - self.low) * (self.top - self.bottom)

    def ticks(self) -> list[tuple[float, str]]:
        """At 1, 2 and 5 times a power of ten where there is room, at powers of ten otherwise."""
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        for factors in ((1.0, 2.0, 5.0), (1.0,)):
            values = [k * 10.0**power for power in powers for k in factors]
            inside = [value for value in values if self.low <= math.log10(value) <= self.high]
            if len(inside) <= (self.top - self.bottom) / 26:
                break
        step = max(1, math.ceil(len(inside) * 26 / (self.top - self.bottom)))
        return [(self.y(value), f"{_short(value)}×") for value in inside if step == 1 or round(math.log10(value)) % step == 0]


def ratio_scale(ratios: Sequence[float], bottom: float, top: float) -> RatioScale:
    """A scale that holds all of ``ratios`` and 1, with air above and below."""
    powers = [math.log10(ratio) for ratio in (*ratios, 1.0)]
    low, high = min(powers), max(powers)
    air = 0.09 * (high - low)
    # From half to double at the least: a few per cent of noise must not fill the chart.
    return RatioScale(bottom, top, min(low - air, -LEAST_REACH), max(high + air, LEAST_REACH))


def power_of_ten(power: int) -> str:
    """``0.01`` near 1, ``10⁻⁶`` far from it."""
    if -3 <= power <= 3:
        return f"{10.0**power:.{max(-power, 0)}f}"
    return "10" + str(power).translate(_SUPERSCRIPTS)


def _short(value: float) -> str:
    power = math.floor(math.log10(value) + 1e-9)
    return f"{value:.{max(-power, 0)}f}" if -3 <= power <= 3 else f"{value:.0e}"
