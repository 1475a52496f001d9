"""The rule for slowdowns raises no false alarm on a noisy machine and still finds slowdowns; all by simulation."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import mpmath
import numpy as np
import pytest

from conformance.records.fields import RecordError
from conformance.records.schema import MeasurementRecord
from conformance.regression import speeds
from conformance.regression.speeds import Key, Speed, SpeedChange, compare, speed_of, student_quantile, suspects
from tests.core.noise import Machine, figures

WORKLOADS = 12
QUIET = Machine(spread=0.01, offset=0.002, spell=0.0)
NOISY = Machine()
WILD = Machine(spread=0.06, correlation=0.7, offset=0.01, spell=0.05)
"""Pairs that differ by 6 %, hang together, are hit by spells of 40 %, and lie 1 % off for the whole of a run."""


def run_against(
    machine: Machine, generator: np.random.Generator, slowed: dict[int, float] | None = None, earlier: int = 1
) -> list[SpeedChange]:
    """A run compared with earlier ones, suspects measured again as the plugin does."""
    before = [figures(machine, generator, WORKLOADS) for _ in range(earlier)]
    now = figures(machine, generator, WORKLOADS, slowed)
    again: dict[Key, list[Speed]] = {}
    for _ in range(speeds.TAKES - 1):
        wanted = {change.now.key for change in suspects(compare(before, now, again))}
        if not wanted:
            break
        for figure in figures(machine, generator, WORKLOADS, slowed):
            if figure.key in wanted:
                again.setdefault(figure.key, []).append(figure)
    return compare(before, now, again)


def proven(changes: Sequence[SpeedChange]) -> set[str]:
    return {change.now.workload for change in changes if change.proven}


@pytest.mark.parametrize("machine", [QUIET, NOISY, WILD], ids=["quiet", "noisy", "wild"])
def test_unchanged_code_is_not_accused(machine: Machine) -> None:
    """2000 runs each. One alarm among them would already be more than fifty repeats can be expected to show."""
    generator = np.random.default_rng(20240905)
    runs = 2000
    alarms = sum(bool(proven(run_against(machine, generator))) for _ in range(runs))
    # A run in a thousand is what sampling is allowed, and two standard deviations more; the rest of the rule only lowers it.
    allowed = runs * speeds.FALSE_ALARM
    assert alarms <= allowed + 2 * math.sqrt(allowed)


@pytest.mark.parametrize(
    ("machine", "factor", "at_least"),
    [(QUIET, 1.1, 0.95), (QUIET, 1.3, 1.0), (NOISY, 1.1, 0.2), (NOISY, 1.3, 0.95), (WILD, 1.3, 0.6), (WILD, 1.6, 0.9)],
    ids=str,
)
def test_a_slowed_implementation_is_found(machine: Machine, factor: float, at_least: float) -> None:
    generator = np.random.default_rng(7)
    runs = 100
    found = [proven(run_against(machine, generator, {3: factor})) for _ in range(runs)]
    assert sum("workload-3" in names for names in found) / runs >= at_least
    assert sum(bool(names - {"workload-3"}) for names in found) <= 1


def test_a_change_that_slows_half_of_everything_does_not_hide_in_the_scatter() -> None:
    generator = np.random.default_rng(3)
    half = dict.fromkeys(range(0, WORKLOADS, 2), 1.3)
    runs = 50
    found = [len(proven(run_against(NOISY, generator, half))) for _ in range(runs)]
    assert sum(found) / runs >= 0.9 * len(half)


def test_several_earlier_runs_must_all_agree() -> None:
    """One earlier run that was lucky gives a false alarm alone, and none beside another run."""
    lucky, usual, now = figure(1.5), figure(1.0), figure(1.0)
    again = {now.key: [now, now]}
    assert compare([[lucky]], [now], again)[0].proven
    for earlier in ([[lucky], [usual]], [[usual], [lucky]]):
        (change,) = compare(earlier, [now], again)
        assert change.word == "same"


def test_earlier_runs_that_contradict_each_other_decide_nothing() -> None:
    now = figure(1.0)
    for earlier in ([[figure(2.0)], [figure(0.5)]], [[figure(0.5)], [figure(2.0)]]):
        (change,) = compare(earlier, [now], {now.key: [now, now]})
        assert (change.word, change.reason) == ("undecided", "the earlier runs contradict each other")


def figure(ratio: float, width: float = 0.01, seconds: float | None = None, **changes: object) -> Speed:
    plain = Speed(
        *("ademamix/own", "step", "float32", "cpu", "warm"),
        *(ratio, ratio * math.exp(-width), ratio * math.exp(width)),
        seconds=1 / ratio if seconds is None else seconds,
        samples=100,
    )
    return replace(plain, **changes)


def test_one_take_proves_nothing_and_three_that_agree_do() -> None:
    before, now = figure(1.3), figure(1.0)
    (change,) = compare([[before]], [now])
    assert (change.word, change.proven) == ("slower", False)
    assert suspects([change]) == [change]
    (change,) = compare([[before]], [now], {now.key: [now, now]})
    assert change.proven
    assert suspects([change]) == []


def test_one_take_without_a_loss_acquits() -> None:
    before, now = figure(1.3), figure(1.0)
    for takes in ([figure(1.29)], [now, figure(1.29)]):
        (change,) = compare([[before]], [now], {now.key: takes})
        assert (change.word, change.now.ratio) == ("same", 1.29)


def test_a_faster_baseline_slows_nobody_down() -> None:
    before, now = figure(1.3, seconds=1.0), figure(1.0, seconds=1.02)
    (change,) = compare([[before]], [now], {now.key: [now, now]})
    assert (change.word, change.reason) == (
        "undecided", "its own time did not grow as its ratio fell: the baseline became faster",
    )  # fmt: skip
    # A slower machine slows both, which says nothing of either.
    (change,) = compare([[figure(1.0, seconds=1.0)]], [figure(1.0, seconds=2.0)])
    assert change.word == "same"


def test_what_the_baseline_differs_by_from_itself_hides_as_much_of_a_loss() -> None:
    before, now = figure(1.3), figure(1.0)
    pair = figure(1.0, width=0.3, implementation="ademamix/baseline", again=True)
    for earlier, later in (([before, pair], [now]), ([before], [now, pair])):
        (change,) = compare([earlier], later)
        assert (change.word, round(change.noise, 9)) == ("undecided", 0.3)
    # The pair of another workload counts only where this one has none; one of the other cache never does.
    quiet = figure(1.0, implementation="ademamix/baseline", again=True)
    elsewhere = replace(pair, workload="other")
    assert compare([[before, quiet]], [now, elsewhere])[0].word == "slower"
    assert compare([[before]], [now, elsewhere])[0].word == "undecided"
    assert compare([[before]], [now, replace(pair, cache="cold")])[0].word == "slower"


def test_what_got_faster_for_no_reason_shows_what_may_get_slower_for_none() -> None:
    def wandering(by: float) -> tuple[list[Speed], list[Speed]]:
        names = [f"workload-{i}" for i in range(10)]
        return [figure(1.0, workload=name) for name in names], [figure(math.exp(by), workload=name) for name in names]

    before, now = figure(1.2), figure(1.0)
    still, moved = wandering(0.0), wandering(0.08)
    assert compare([[before, *still[0]]], [now, *still[1]])[0].word == "slower"
    assert compare([[before, *moved[0]]], [now, *moved[1]])[0].word == "undecided"
    # What got slower shows nothing: a real slowdown must not excuse another.
    slowed = wandering(-0.3)
    assert compare([[before, *slowed[0]]], [now, *slowed[1]])[0].word == "slower"


def test_the_more_figures_the_more_each_must_show() -> None:
    before, now = figure(1.1, width=0.02), figure(1.0, width=0.02)
    alone = compare([[before]], [now])[0].threshold
    many = [figure(1.0, width=0.02, workload=str(i)) for i in range(100)]
    assert compare([[before, *many]], [now, *many])[0].threshold > alone


def test_few_samples_must_show_more() -> None:
    few, many = ([figure(1.0, samples=n)] for n in (6, 100))
    assert compare([few], few)[0].chance > 1.25 * compare([many], many)[0].chance


def test_what_cannot_be_told_is_undecided() -> None:
    assert compare([[figure(1.0, width=0.2)]], [figure(1.0, width=0.2)])[0].word == "undecided"
    assert compare([[figure(1.0)]], [figure(1.5)])[0].word == "faster"
    assert compare([[figure(1.0)]], [figure(1.0, workload="other")]) == []


def test_a_line_without_a_speed_has_no_figure() -> None:
    line = {
        "system": "ademamix", "implementation": "ademamix/own", "workload": "step", "dtype": "float32", "device": "cpu",
        "verdict": "measured", "ratio": 1.0, "ratio_low": 0.9, "ratio_high": 1.1, "median_s": 0.5, "samples": 10,
    }  # fmt: skip
    found = speed_of(MeasurementRecord.from_json(line))
    assert found is not None
    assert (found.cache, found.again) == ("warm", False)
    # Half of a 95 % interval is 1.96 standard errors; the wider side counts.
    assert round(math.log(1 / 0.9) / found.error, 2) == 1.96
    for change in ({"verdict": "wrong answer"}, {"ratio": None}):
        assert speed_of(MeasurementRecord.from_json({**line, **change})) is None, change
    for change in (
        {"ratio": "inf"},
        {"ratio_low": 0},
        {"ratio_low": 1.05},
        {"median_s": -1.0},
        {"ratio_high": math.nan},
        {"ratio": True},
    ):
        with pytest.raises(RecordError):
            MeasurementRecord.from_json({**line, **change})


@pytest.mark.parametrize("freedom", [1, 2, 5, 29, 299])
@pytest.mark.parametrize("tail", [0.025, 1e-3, 1e-5, 1e-7])
def test_the_quantile_of_students_distribution(tail: float, freedom: int) -> None:
    t = student_quantile(tail, freedom)
    exact = mpmath.betainc(mpmath.mpf(freedom) / 2, 0.5, 0, freedom / (freedom + mpmath.mpf(t) ** 2), regularized=True) / 2
    assert abs(float(exact) / tail - 1) < 1e-10
