"""What a record would say of a number computed in floating point: six significant digits."""

from __future__ import annotations

from conformance.benchmark.measurement import rounded


def said(*values: float) -> list[float]:
    return [rounded(value) for value in values]
