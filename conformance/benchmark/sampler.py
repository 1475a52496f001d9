"""Take samples in quads with the baseline, A B B A, until the interval of the ratio is tight or the time is spent.

Before the first sample, a pilot fixes after how many quads the interval is computed: at most four times, each time with twice
as many. All looks together may be wrong one time in twenty. An early look that can end the sampling gets little of that chance
(`early`), and whichever is the last gets most of it: where there is noise, it decides. Sampling stops by the interval's width
or for lack of time, never by the interval's position, so that no lucky look can end it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.benchmark import statistics
from conformance.benchmark.timer import Clock, Work, nothing

SHORTEST_SAMPLE_S = 2e-4
"""A warm sample repeats short calls until it lasts this long, so that reading the clock does not matter."""

MOST_LOOKS = 4
EARLY = 0.0025
"""The chance of being wrong that an early look gets, where it has enough quads for that."""
LATE = 0.0375
"""The chance that the last of several looks gets at most. Few quads deserve no more: simulated, they are wrong more often."""
MOST_QUADS = 64
OVERRUN = 2.0
"""The next look is given up where sampling would exceed its budget by this factor: the pilot was too optimistic."""
PATIENCE = 4.0
"""Sampling may exceed its budget by this factor for the fewest quads that give an interval at all."""


@dataclass(frozen=True)
class SamplingPlan:
    """What is fixed before the first sample: calls per sample of each side, quads at each look, confidence of the last."""

    calls: int
    baseline_calls: int
    looks: tuple[int, ...]
    confidence: float

    @property
    def enough(self) -> bool:
        """Whether the last look has enough quads for its confidence; very long work leaves no time for that."""
        return self.looks[-1] >= statistics.fewest_quads(self.confidence)


def early(quads: int) -> float:
    """The confidence of the interval with which a look at so many quads may end the sampling; their extremes have no more."""
    return 1 - max(EARLY, 2.0 ** (1 - quads))


def planned_looks(affordable: int) -> tuple[tuple[int, ...], float]:
    """The number of quads at each look, given the quads there is time for; and the confidence of the last look's interval."""
    last, chance = max(2, min(affordable, MOST_QUADS)), 1 - statistics.CONFIDENCE
    for number in range(MOST_LOOKS, 1, -1):
        looks = tuple(last // 2**i for i in reversed(range(number)))
        # Bonferroni: the chances of being wrong add up to no more than 1 - CONFIDENCE, however the looks depend on each other.
        rest = chance - sum(1 - early(quads) for quads in looks[:-1])
        if rest >= chance / 2:
            return looks, 1 - min(rest, LATE)
    return (last,), statistics.CONFIDENCE


def plan_for(calls: int, baseline_calls: int, quad_s: float, budget_s: float) -> SamplingPlan:
    """The plan for quads that take ``quad_s`` seconds, untimed work included."""
    affordable = int(budget_s / quad_s) if quad_s > 0 else MOST_QUADS
    fewest = statistics.fewest_quads(statistics.CONFIDENCE)
    if affordable < fewest:
        affordable = min(fewest, int(PATIENCE * budget_s / quad_s))
    return SamplingPlan(calls, baseline_calls, *planned_looks(affordable))


def calls_for(seconds: float, shortest_s: float = SHORTEST_SAMPLE_S) -> int:
    """How many calls of this length make a sample that lasts long enough."""
    return max(1, min(10_000, round(shortest_s / max(seconds, 1e-9))))


@dataclass(frozen=True)
class Buffers:
    """One set of buffers of one side: its timed work, one call of it, and how its inputs are renewed, if they can be."""

    work: Work
    once: Callable[[], Any]
    renew: Callable[[int], Any] | None = None


@dataclass(frozen=True)
class Samples:
    """Seconds per call of both sides, pair by pair in the order taken; the second is empty where there is no baseline.

    ``confidence`` is that of the interval at the look that ended the sampling.
    """

    own: list[float]
    baseline: list[float]
    looks: int
    stopped: str
    """``tight``, ``budget`` or ``most``."""
    confidence: float


Taker = Callable[[Buffers, int], float]
"""Seconds per call of one sample on these buffers; the number is different for every sample."""


SEEDS_APART = 10**6


def taker(clock: Clock, evict: Callable[[], Any] | None, mark: Callable[[], Any] = nothing) -> Taker:
    """Make the function that takes one sample: after an untimed call on the same buffers, or after ``evict`` if given."""
    # So that no sample with a cold cache sees the inputs of one with a warm cache.
    first = SEEDS_APART if evict is None else 2 * SEEDS_APART

    def take(buffers: Buffers, number: int) -> float:
        if buffers.renew is not None:
            buffers.renew(first + number)

        def before() -> None:
            (evict or buffers.once)()
            mark()

        return clock.time(buffers.work, before) / buffers.work.calls

    return take


def order_of(quad: int) -> str:
    """The order of sides in a quad: A B B A or its mirror image, by Thue and Morse, which cancels curved drifts too."""
    return "baab" if quad.bit_count() % 2 else "abba"


def sample(
    own: Sequence[Buffers],
    baseline: Sequence[Buffers],
    take: Taker,
    plan: SamplingPlan,
    budget_s: float,
    now: Callable[[], float] = time.monotonic,
    rest: Callable[[], Any] = nothing,
) -> Samples:
    """Take quads, each on the next set of buffers, and look as planned; call ``rest`` before the other side's turn."""
    seconds: tuple[list[float], list[float]] = ([], [])
    began, number, quads, before = now(), 0, 0, ""
    for place, look in enumerate(plan.looks):
        while quads < look:
            for side in order_of(quads) if baseline else "bb":
                buffers, into = (own, seconds[0]) if side == "b" else (baseline, seconds[1])
                number += 1
                if before not in ("", side):
                    rest()
                before = side
                into.append(take(buffers[quads % len(buffers)], number))
            quads += 1
        if place + 1 < len(plan.looks):
            if width(seconds[0], seconds[1], early(look)) <= statistics.TIGHT:
                return Samples(*seconds, place + 1, "tight", early(look))
            if (now() - began) / quads * plan.looks[place + 1] > OVERRUN * budget_s:
                return Samples(*seconds, place + 1, "budget", plan.confidence)
    if plan.enough and width(seconds[0], seconds[1], plan.confidence) <= statistics.TIGHT:
        return Samples(*seconds, len(plan.looks), "tight", plan.confidence)
    return Samples(*seconds, len(plan.looks), "most" if quads >= MOST_QUADS else "budget", plan.confidence)


def width(own: Sequence[float], baseline: Sequence[float], confidence: float) -> float:
    """The factor between the ends of the interval of the ratio, or of the median where there is no baseline."""
    if baseline:
        _, low, high = statistics.ratio_interval(baseline, own, confidence)
    else:
        _, low, high = statistics.median_interval(own, confidence)
    return high / low
