"""Numbers of a record line, read strictly: a number, "inf" or null, and nothing that only looks like one."""

from __future__ import annotations

import math
from typing import Any


def number(value: Any) -> float | None:
    """A record's number; "inf" and "-inf" are infinite, and true is not 1."""
    if value is None:
        return None
    if value in ("inf", "-inf"):
        return math.inf if value == "inf" else -math.inf
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise TypeError(f"found {value!r}, expected a number, 'inf' or null")
    if math.isnan(value):
        raise ValueError("found a NaN, which is no number and no verdict")
    return float(value)


def numbers(values: Any) -> tuple[float, ...]:
    """A list of numbers without gaps."""
    found = tuple(number(value) for value in values)
    if any(value is None for value in found):
        raise TypeError("found null in a list of numbers")
    return tuple(value for value in found if value is not None)
