"""The sampling rule is fixed beforehand, the statistics say what they claim, and no test here asserts a time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance import measuring
from conformance.measuring import sampling, statistics


class ScriptedClock:
    """Says what each function "took", and keeps the order in which they ran."""

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds = seconds
        self.order: list[str] = []

    def time(self, run: Callable[[], Any], calls: int) -> float:
        name = run()
        self.order.append(name)
        return self.seconds[name] * calls


def own() -> str:
    return "own"


def baseline() -> str:
    return "baseline"


def test_pairs_alternate_their_order() -> None:
    clock = ScriptedClock({"own": 0.01, "baseline": 0.02})
    sampling.paired_samples(own, baseline, clock, sampling.Plan(pairs=4, calls=1, baseline_calls=1))
    assert clock.order == ["baseline", "own", "own", "baseline", "baseline", "own", "own", "baseline"]


def test_samples_are_seconds_per_call() -> None:
    # Powers of two, so that scaling by the number of calls and back is exact.
    clock = ScriptedClock({"own": 0.25, "baseline": 0.5})
    samples, others = sampling.paired_samples(own, baseline, clock, sampling.Plan(pairs=2, calls=8, baseline_calls=4))
    assert (samples, others) == ([0.25] * 2, [0.5] * 2)


def test_the_number_of_pairs_is_even_and_within_limits() -> None:
    for seconds in (1e-6, 1e-3, 0.3, 100.0):
        plan = sampling.plan_for(own, baseline, ScriptedClock({"own": seconds, "baseline": seconds}), budget_s=1.0)
        assert plan.pairs % 2 == 0
        assert sampling.FEWEST_PAIRS <= plan.pairs <= sampling.MOST_PAIRS + 2


def test_short_calls_are_repeated_within_a_sample() -> None:
    plan = sampling.plan_for(own, baseline, ScriptedClock({"own": 1e-6, "baseline": 1.0}), budget_s=1.0)
    assert plan.calls * 1e-6 >= sampling.SHORTEST_SAMPLE_S / 2
    assert plan.baseline_calls == 1


def test_the_ratio_is_baseline_over_own_and_ignores_a_slow_spell() -> None:
    own_samples = [1.0, 1.0, 5.0, 1.0, 1.0, 1.0]
    others = [2.0, 2.0, 10.0, 2.0, 2.0, 2.0]
    # Every pair has the same ratio, so the median and both ends are that ratio, computed the same way.
    assert statistics.ratio_interval(others, own_samples) == (float(np.exp(np.log(2.0))),) * 3


def test_the_interval_covers_the_true_median_about_as_often_as_it_says() -> None:
    generator = np.random.default_rng(1)
    repeats = 300
    covered = 0
    for _ in range(repeats):
        _, low, high = statistics.median_interval(generator.exponential(size=31).tolist())
        covered += low <= np.log(2) <= high
    # Three standard deviations of a binomial count below the nominal rate.
    rate = statistics.CONFIDENCE
    assert covered >= repeats * rate - 3 * np.sqrt(repeats * rate * (1 - rate)) - 0.02 * repeats


@pytest.mark.parametrize(
    ("low", "high", "word"),
    [(1.2, 1.3, "faster"), (0.7, 0.8, "slower"), (0.99, 1.01, "same"), (0.9, 1.2, "undecided"), (1.01, 1.02, "same")],
)
def test_decisions(low: float, high: float, word: str) -> None:
    assert statistics.decide(low, high) == word


def test_replay_gives_back_exactly_the_samples() -> None:
    samples = [0.25, 0.5, 0.125]
    measuring._REPLAY.load(samples)
    seen = []
    for _ in samples:
        started = measuring.replay_timer()
        measuring._REPLAY.advance()
        seen.append(measuring.replay_timer() - started)
    assert seen == samples
