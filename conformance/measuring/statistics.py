"""Medians with intervals that assume no distribution, and the rule that turns an interval into a word."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CONFIDENCE = 0.95
RESAMPLES = 2000
SAME_WITHIN = 1.03
"""Two times whose ratio provably lies within this factor, either way, are called the same."""


def median_interval(samples: Sequence[float]) -> tuple[float, float, float]:
    """Median and bootstrap percentile interval of a list of seconds; the resampling is seeded, so records are repeatable."""
    values = np.asarray(samples, dtype=np.float64)
    low, high = _bootstrap(values)
    return float(np.median(values)), low, high


def ratio_interval(baseline: Sequence[float], own: Sequence[float]) -> tuple[float, float, float]:
    """Median of the pairwise ratios baseline / own, with its interval: above 1 is faster than the baseline.

    Pairs stand next to each other in time, so a slow spell of the machine slows both and leaves their ratio alone.
    """
    logarithms = np.log(np.asarray(baseline, dtype=np.float64) / np.asarray(own, dtype=np.float64))
    low, high = _bootstrap(logarithms)
    return float(np.exp(np.median(logarithms))), float(np.exp(low)), float(np.exp(high))


def _bootstrap(values: np.ndarray) -> tuple[float, float]:
    generator = np.random.default_rng(len(values))
    medians = np.median(generator.choice(values, size=(RESAMPLES, len(values))), axis=1)
    tail = (1 - CONFIDENCE) / 2
    return float(np.quantile(medians, tail)), float(np.quantile(medians, 1 - tail))


def decide(ratio_low: float, ratio_high: float) -> str:
    """``same`` where it lies within SAME_WITHIN, ``faster`` or ``slower`` where it leaves 1 out, or ``undecided``."""
    if ratio_low >= 1 / SAME_WITHIN and ratio_high <= SAME_WITHIN:
        return "same"
    if ratio_low > 1:
        return "faster"
    if ratio_high < 1:
        return "slower"
    return "undecided"
