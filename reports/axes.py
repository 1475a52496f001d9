"""An axis of a plot: linear or logarithmic, with ticks at round numbers that stand apart."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from reports.numbers import significant
from reports.scales import power_of_ten

AIR = 0.05
"""Of its length, what an axis leaves free beyond the outermost values."""
LEAST_DECADES = 0.3
_PREFIXES = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))


@dataclass(frozen=True)
class Axis:
    """From ``low`` to ``high`` (in decades where it is logarithmic), drawn between ``start`` and ``stop`` in points."""

    low: float
    high: float
    log: bool
    start: float
    stop: float

    def at(self, value: float) -> float:
        """Where a value lies; what a logarithm cannot place, and what is infinite, lies on the edge."""
        if self.log:
            value = math.log10(value) if value > 0 else -math.inf
        part = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + part * (self.stop - self.start)

    def ticks(self, apart: float) -> list[tuple[float, str]]:
        """Positions and labels, at least ``apart`` points from each other."""
        most = max(2, int(abs(self.stop - self.start) / apart))
        if not self.log:
            return self._linear(most)
        first, last = math.ceil(self.low - 1e-9), math.floor(self.high + 1e-9)
        powers = range(first, last + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            values = [factor * 10.0**power for power in range(first - 1, last + 1) for factor in factors]
            inside = [value for value in values if self.low - 1e-9 <= math.log10(value) <= self.high + 1e-9]
            if 2 <= len(inside) <= most:
                return [(self.at(value), label(value)) for value in inside]
        if len(powers) < 2:
            return self._linear(most)
        step = math.ceil(len(powers) / most)
        return [(self.at(10.0**power), label(10.0**power)) for power in powers if power % step == 0]

    def _linear(self, most: int) -> list[tuple[float, str]]:
        low, high = (10.0**self.low, 10.0**self.high) if self.log else (self.low, self.high)
        step = _round_step((high - low) / most)
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        digits = max(0, -math.floor(math.log10(step) + 1e-9))
        return [(self.at(n * step), _plain(n * step, digits)) for n in range(first, last + 1)]


def axis(values: Iterable[float], log: bool, start: float, stop: float, zero: bool = False) -> Axis:
    """An axis for these values with some air; ``zero`` has a linear one begin at 0 where all of them are positive."""
    finite = [value for value in values if math.isfinite(value)]
    if log:
        powers = [math.log10(value) for value in finite if value > 0] or [0.0]
        low, high = min(powers), max(powers)
        if high - low < LEAST_DECADES:
            middle = (low + high) / 2
            low, high = middle - LEAST_DECADES / 2, middle + LEAST_DECADES / 2
    else:
        low, high = min(finite, default=0.0), max(finite, default=1.0)
        if low >= 0 and (zero or low < 0.4 * high):
            low = 0.0
        if low == high:
            low, high = low - abs(low) / 2 - 0.5, high + abs(high) / 2 + 0.5
    air = AIR * (high - low)
    return Axis(low if not log and low == 0 else low - air, high + air, log, start, stop)


def label(value: float) -> str:
    """``0.01``, ``512``, ``20k``, ``10⁻⁷``: short, for an axis of powers.

    >>> [label(x) for x in (1e-7, 0.002, 5, 2e4, 1e15)]
    ['10⁻⁷', '0.002', '5', '20k', '10¹⁵']
    """
    power = math.floor(math.log10(value) + 1e-9)
    leading = round(value / 10.0**power)
    if power < -3 or power >= 15:
        return power_of_ten(power) if leading == 1 else f"{leading}·{power_of_ten(power)}"
    for scale, prefix in _PREFIXES:
        if value >= scale:
            return f"{value / scale:.0f}{prefix}"
    return f"{value:.{max(-power, 0)}f}"


def _plain(value: float, digits: int) -> str:
    for scale, prefix in _PREFIXES:
        if abs(value) >= 10 * scale:
            return f"{value / scale:.4g}{prefix}"
    if digits > 4:
        return significant(value, 2) if value else "0"
    return f"{value:.{digits}f}" if value else "0"


def _round_step(least: float) -> float:
    """The smallest of 1, 2 and 5 times a power of ten that is not less than ``least``."""
    power = 10.0 ** math.floor(math.log10(least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least * (1 - 1e-9))
