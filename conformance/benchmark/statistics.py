"""Compute medians with intervals that assume no distribution, and turn an interval into a decision.

Samples are correlated in time, so blocks of neighbouring pairs are resampled and never single samples. A bootstrap of
few samples is too narrow, so each interval also spans the order statistics between which the median lies for any distribution,
at the number of independent pairs that the autocorrelation leaves.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

CONFIDENCE = 0.95
RESAMPLES = 2000
SAME_WITHIN = 1.03
"""Two times whose ratio certainly lies within this factor, either way, are called the same."""
TIGHT = 1.02
"""Sampling stops at an interval of the ratio whose ends differ by no more than this factor."""


def median_interval(samples: Sequence[float], confidence: float = CONFIDENCE) -> tuple[float, float, float]:
    """Median and interval of seconds per call in the order they were taken."""
    values = np.asarray(samples, dtype=np.float64)
    low, high = interval(values, confidence)
    return float(np.median(values)), low, high


def ratio_interval(
    baseline: Sequence[float], own: Sequence[float], confidence: float = CONFIDENCE
) -> tuple[float, float, float]:
    """Median over pairs of the ratio baseline / own, with its interval: above 1 is faster than the baseline.

    A slow spell of the machine slows both sides of a pair and leaves their ratio alone. A steady drift moves the two pairs of
    a quad, which were taken in opposite orders, as far to either side. The median is that of pairs and not of means of two:
    one sample that was interrupted spoils one pair then, and not the whole quad.
    """
    logarithms = np.log(np.asarray(baseline, dtype=np.float64) / np.asarray(own, dtype=np.float64))
    low, high = interval(logarithms, confidence)
    return float(np.exp(np.median(logarithms))), float(np.exp(low)), float(np.exp(high))


def interval(values: Array, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of the median, of values in the order they were taken: the hull of bootstrap and order statistics."""
    bootstrap, ordered = _bootstrap(values, confidence), _order_statistics(values, confidence)
    return min(bootstrap[0], ordered[0]), max(bootstrap[1], ordered[1])


def fewest_quads(confidence: float) -> int:
    """The least number n of values whose extremes contain the median with this confidence, which is 1 - 2^(1-n)."""
    return math.ceil(1 - math.log2(1 - confidence))


def _bootstrap(values: Array, confidence: float) -> tuple[float, float]:
    """Circular block bootstrap; seeded by the number of values alone, so records are repeatable."""
    count = len(values)
    order = np.argsort(values, kind="stable")
    # Small integers are ranked three times as fast as numbers are.
    ranks = np.empty(count, np.int16)
    ranks[order] = np.arange(count)
    drawn = ranks[_resamples(count)]
    middle = sorted({(count - 1) // 2, count // 2})
    drawn.partition(middle, axis=1)
    medians = values[order][drawn[:, middle]].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(medians, (tail, 1 - tail))
    return float(low), float(high)


@functools.lru_cache(maxsize=16)
def _resamples(count: int) -> npt.NDArray[np.intp]:
    """Indices of `RESAMPLES` series made of blocks of neighbours, each of about the square root of the count."""
    block = max(1, round(math.sqrt(count)))
    blocks = -(-count // block)
    starts = np.random.default_rng(count).integers(count, size=(RESAMPLES, blocks, 1))
    return ((starts + np.arange(block)) % count).reshape(RESAMPLES, -1)[:, :count]


def _order_statistics(values: Array, confidence: float) -> tuple[float, float]:
    """The k-th smallest and largest of the values, k from the binomial distribution at their effective number."""
    ordered = np.sort(values)
    share = _rank(round(effective_number(values)), confidence)
    k = min(math.floor(share * len(values)), (len(values) - 1) // 2)
    return float(ordered[k]), float(ordered[len(values) - 1 - k])


def effective_number(values: Array) -> float:
    """How many independent values a series is worth, from how long it stays on one side of its median.

    Signs are robust against outliers. The correlation of neighbouring signs, corrected for its bias in short series, gives
    that of a first-order Gaussian series, and this gives the variance of the share of values on one side.
    """
    n = len(values)
    signs = np.sign(values - np.median(values))
    if n < 4 or not signs.any():
        return float(n)
    seen = float((signs[1:] * signs[:-1]).sum() / (signs * signs).sum())
    seen = min(max(seen + (1 + 3 * max(seen, 0.0)) / n, 0.0), 0.95)
    correlation = math.sin(math.pi / 2 * seen)
    inflation = 1 + 4 / math.pi * float(np.arcsin(correlation ** np.arange(1, n)).sum())
    return max(n / inflation, 1.0)


@functools.lru_cache(maxsize=1024)
def _rank(count: int, confidence: float) -> float:
    """The largest k with P(at most k heads in ``count`` tosses) <= tail, as a share of the count; 0 where there is none."""
    from scipy.stats import binom  # here, since it takes a second to import

    tail = (1 - confidence) / 2
    k = int(binom.ppf(tail, count, 0.5))  # the smallest with at least that probability
    return max(k if binom.cdf(k, count, 0.5) <= tail else k - 1, 0) / count


@dataclass(frozen=True)
class Decision:
    """A word, and the reason for it."""

    word: str
    reason: str


@dataclass(frozen=True)
class Noise:
    """By which factors the baseline beside itself differed from 1 at one place."""

    certain: float = 1.0
    """By so much at the least: the nearer end of its interval; 1.0 where that holds 1."""
    possible: float = 1.0
    """By so much at the most: the farther end."""


QUIET = Noise()


def decide(ratio_low: float, ratio_high: float, noise: Noise = QUIET, ratio: float | None = None) -> str:
    """The word of `decision`."""
    return decision(ratio_low, ratio_high, noise, ratio).word


def decision(ratio_low: float, ratio_high: float, noise: Noise = QUIET, ratio: float | None = None) -> Decision:
    """``same``, ``faster``, ``slower`` or ``undecided``, in this order of preference.

    A difference between two implementations must exceed the noise that is certain. What is called faster must besides have a
    ratio (the middle of the interval, where none is given) beyond the noise that is possible: who made it chooses when and how
    often it is timed, so a "faster" by chance is worse than one that was missed.
    """
    stated = f"[{ratio_low:.4g}, {ratio_high:.4g}]"
    if ratio_low >= 1 / SAME_WITHIN and ratio_high <= SAME_WITHIN:
        return Decision("same", f"the whole interval {stated} of the ratio lies within {_percent(SAME_WITHIN)} of 1")
    if not ratio_low <= 1 <= ratio_high:
        side, nearer = ("above", ratio_low) if ratio_low > 1 else ("below", 1 / ratio_high)
        if nearer <= noise.certain:
            return Decision(
                "undecided",
                f"the interval {stated} of the ratio lies {side} 1, but no further than the baseline beside itself "
                f"differs here ({_percent(noise.certain)})",
            )
        middle = math.sqrt(ratio_low * ratio_high) if ratio is None else ratio
        if ratio_low > 1 and middle <= noise.possible:
            return Decision(
                "undecided",
                f"the interval {stated} of the ratio lies above 1, but the ratio {middle:.4g} no further than the baseline "
                f"beside itself may differ here ({_percent(noise.possible)})",
            )
        word = "faster" if ratio_low > 1 else "slower"
        return Decision(word, f"the whole interval {stated} of the ratio lies {side} 1")
    return Decision("undecided", f"the interval {stated} of the ratio holds 1, and differences beyond {_percent(SAME_WITHIN)}")


def noise_of(ratio_low: float, ratio_high: float) -> Noise:
    """What the interval of an A/A pair shows."""
    return Noise(max(1.0, ratio_low, 1 / ratio_high), max(1.0, ratio_high, 1 / ratio_low))


def _percent(factor: float) -> str:
    return f"{(factor - 1) * 100:.3g} %"
