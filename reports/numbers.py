"""Format numbers with three significant digits, and never round one across the limit that decides."""

from __future__ import annotations

import math
from collections.abc import Iterable

DIGITS = 3
DOUBLE_DIGITS = 17
"""Significant digits that tell any two float64 numbers apart."""

PREFIXES = {"T": 1e12, "G": 1e9, "M": 1e6, "k": 1e3, "": 1.0, "m": 1e-3, "µ": 1e-6, "n": 1e-9}


def significant(value: float, digits: int = DIGITS) -> str:
    """``0.0512``, ``1.30``, ``417``, ``1.30e4``, ``inf``: plain up to a thousand, with an exponent beyond.

    >>> [significant(x) for x in (0.05123, 417.2, 13041.0, 2.5e-7, 0.0)]
    ['0.0512', '417', '1.30e4', '2.50e-7', '0']
    """
    if math.isnan(value):
        return "nan"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if value == 0:
        return "0"
    mantissa, _, exponent = f"{value:.{digits - 1}e}".partition("e")
    power = int(exponent)
    if -DIGITS <= power < DIGITS:
        return f"{value:.{max(digits - 1 - power, 0)}f}"
    return f"{mantissa}e{power}"


def margin(value: float | None) -> str:
    """A margin, with more digits where three would show 1 for what is not 1.

    >>> margin(0.99996), margin(1.0), margin(1.0004)
    ('0.99996', '1.00', '1.0004')
    """
    if value is None:
        return "-"
    text = significant(value)
    for digits in range(DIGITS + 1, DOUBLE_DIGITS + 1):
        if value == 1 or float(text) != 1:
            break
        text = significant(value, digits)
    return text


def ratio(value: float, low: float | None = None, high: float | None = None) -> str:
    """A speed ratio and its interval: ``3.41× [3.30, 3.52]``."""
    text = f"{significant(value)}×"
    if low is None or high is None:
        return text
    return f"{text} [{significant(low)}, {significant(high)}]"


def share(part: int, whole: int) -> str:
    """``93.8 % (61/65)``; never 100 % unless it is all, never 0 % unless it is nothing."""
    if whole == 0:
        return "-"
    return f"{percent(part / whole)} ({part}/{whole})"


def percent(fraction: float) -> str:
    """A fraction of one as a percentage; only 1 prints as 100 %, and only 0 as 0 %."""
    text = significant(100 * fraction)
    if fraction < 1 and float(text) >= 100:
        text = "99.9"
    return f"{text} %"


def si(value: float, unit: str) -> str:
    """A quantity with an SI prefix: ``12.3 Gparameters/s``, ``417 µs``."""
    if not math.isfinite(value) or value == 0:
        return f"{significant(value)} {unit}"
    # Compared after rounding, so that 999.9 k becomes 1.00 M.
    reached = (prefix for prefix, scale in PREFIXES.items() if float(f"{abs(value) / scale:.{DIGITS - 1}e}") >= 1)
    prefix = next(reached, "n")
    return f"{significant(value / PREFIXES[prefix])} {prefix}{unit}"


def count(number: int, singular: str, plural: str = "") -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {singular if number == 1 else plural or singular + 's'}"


def listing(words: Iterable[str], last: str = "and") -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"
