"""Samples are taken in pairs with the baseline, in the order A B B A, and their number is fixed before the first one.

A number fixed beforehand cannot be stopped at a lucky moment; the order cancels a drift of the machine's speed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from conformance.measuring.clock import Clock

SHORTEST_SAMPLE_S = 2e-4
"""A sample repeats short calls until it lasts this long, so that reading the clock costs nothing that matters."""

FEWEST_PAIRS = 5
MOST_PAIRS = 200


@dataclass(frozen=True)
class Plan:
    """How many pairs, and how many calls make one sample of either side."""

    pairs: int
    calls: int
    baseline_calls: int


def plan_for(run: Callable[[], Any], baseline: Callable[[], Any] | None, clock: Clock, budget_s: float) -> Plan:
    """Fix the number of samples from a pilot of three calls each, which are also the warm-up."""
    own = _pilot(run, clock)
    other = _pilot(baseline, clock) if baseline is not None else 0.0
    calls, baseline_calls = _calls(own), _calls(other) if other else 1
    pair = own * calls + other * baseline_calls
    pairs = int(budget_s / pair) if pair > 0 else MOST_PAIRS
    # An even number, so that A B and B A come equally often.
    return Plan(max(FEWEST_PAIRS, min(MOST_PAIRS, pairs)) // 2 * 2 + 2, calls, baseline_calls)


def _pilot(run: Callable[[], Any], clock: Clock) -> float:
    return min(clock.time(run, 1) for _ in range(3))


def _calls(seconds: float) -> int:
    return max(1, min(10_000, round(SHORTEST_SAMPLE_S / max(seconds, 1e-9))))


def paired_samples(
    run: Callable[[], Any], baseline: Callable[[], Any] | None, clock: Clock, plan: Plan
) -> tuple[list[float], list[float]]:
    """Seconds per call of both sides, pair by pair; the second list is empty where there is no baseline."""
    own: list[float] = []
    other: list[float] = []
    for pair in range(plan.pairs):
        if baseline is None:
            own.append(clock.time(run, plan.calls) / plan.calls)
        elif pair % 2:
            own.append(clock.time(run, plan.calls) / plan.calls)
            other.append(clock.time(baseline, plan.baseline_calls) / plan.baseline_calls)
        else:
            other.append(clock.time(baseline, plan.baseline_calls) / plan.baseline_calls)
            own.append(clock.time(run, plan.calls) / plan.calls)
    return own, other
