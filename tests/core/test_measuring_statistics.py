"""On simulated noise, correlated and with heavy tails, a difference is rarely reported where there is none."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from conformance.benchmark import sampler, statistics
from tests.core.said import said

Array = npt.NDArray[np.float64]
REPEATS = 120


def correlated(generator: np.random.Generator, count: int, correlation: float, spread: float) -> Array:
    """A Gaussian series of first order with this spread in the long run."""
    shocks = generator.standard_normal(count) * spread * np.sqrt(1 - correlation**2)
    series = np.empty(count)
    level = generator.standard_normal() * spread
    for i, shock in enumerate(shocks):
        level = correlation * level + shock
        series[i] = level
    return series


def noise(kind: str, generator: np.random.Generator, count: int) -> Array:
    """Logarithms of what disturbs each of ``count`` samples, one after the other in time."""
    if kind == "gaussian":
        return generator.standard_normal(count) * 0.03
    if kind == "heavy":  # Student's with two degrees of freedom: its variance is infinite
        return generator.standard_t(2, count) * 0.02
    if kind == "spikes":  # a tenth of the samples are up to several times too long
        return generator.standard_normal(count) * 0.01 + (generator.random(count) < 0.1) * generator.exponential(0.5, count)
    return generator.exponential(0.05, count)


class Machine:
    """Gives samples in the order in which they are asked for; both sides share its slow spells, one has its own as well."""

    def __init__(self, kind: str, correlation: float, seed: int, ratio: float = 1.0, loudness: float = 1.0) -> None:
        generator = np.random.default_rng(seed)
        count = 4 * sampler.MOST_QUADS
        common = loudness * correlated(generator, count, 0.9, 0.1)
        self.baseline = np.exp(loudness * noise(kind, generator, count) + common) * ratio
        own = noise(kind, generator, count) + correlated(generator, count, correlation, 0.02)
        self.own = np.exp(loudness * own + common)
        self.asked = 0

    def take(self, buffers: sampler.Buffers, number: int) -> float:
        assert number == self.asked + 1
        self.asked = number
        return float((self.own if buffers is OWN else self.baseline)[number - 1])


WORK = sampler.Work(lambda: None, 1)
OWN, BASELINE = sampler.Buffers(WORK, lambda: None), sampler.Buffers(WORK, lambda: None)


def run(machine: Machine, affordable: int = sampler.MOST_QUADS) -> tuple[sampler.Samples, float, float, float]:
    plan = sampler.SamplingPlan(1, 1, *sampler.planned_looks(affordable))
    samples = sampler.sample([OWN], [BASELINE], machine.take, plan, budget_s=1e9, now=lambda: 0.0)
    return samples, *statistics.ratio_interval(samples.baseline, samples.own, samples.confidence)


def allowed(rate: float, repeats: int) -> float:
    """A count that a rate exceeds once in a thousand: three standard deviations of a binomial."""
    return rate * repeats + 3 * np.sqrt(repeats * rate * (1 - rate))


# The quiet one stops at any of the four looks, the loud one mostly at the last.
@pytest.mark.parametrize(("correlation", "loudness"), [(0.0, 0.2), (0.9, 1.0)])
@pytest.mark.parametrize("kind", ["gaussian", "heavy", "spikes", "skewed"])
def test_no_difference_is_called_one_at_most_one_time_in_twenty(kind: str, correlation: float, loudness: float) -> None:
    wrong = covered = 0
    for seed in range(REPEATS):
        _, _, low, high = run(Machine(kind, correlation, seed, loudness=loudness))
        wrong += statistics.decide(low, high) in ("faster", "slower")
        covered += low <= 1 <= high
    rate = 1 - statistics.CONFIDENCE
    assert wrong <= allowed(rate, REPEATS), f"{wrong} of {REPEATS}"
    assert REPEATS - covered <= allowed(rate, REPEATS), f"{covered} of {REPEATS} intervals hold the truth"


@pytest.mark.parametrize("affordable", [6, 13, 20, 40])
def test_fewer_looks_keep_the_confidence_too(affordable: int) -> None:
    intervals = [run(Machine("spikes", 0.6, seed), affordable)[2:] for seed in range(REPEATS)]
    covered = sum(low <= 1 <= high for low, high in intervals)
    assert REPEATS - covered <= allowed(1 - statistics.CONFIDENCE, REPEATS), f"{covered} of {REPEATS}"


@pytest.mark.parametrize(("ratio", "word"), [(1.1, "faster"), (1 / 1.1, "slower")])
@pytest.mark.parametrize("kind", ["gaussian", "heavy", "spikes"])
def test_a_difference_of_a_tenth_is_found(kind: str, ratio: float, word: str) -> None:
    found = [statistics.decide(low, high) for seed in range(40) for _, _, low, high in [run(Machine(kind, 0.6, seed, ratio))]]
    assert found.count(word) >= 36, found


def test_on_a_noisy_machine_a_twentieth_is_mostly_found_and_hardly_ever_made_up() -> None:
    def faster(ratio: float) -> int:
        runs = [run(Machine("spikes", 0.9, seed, ratio))[2:] for seed in range(72)]
        return sum(statistics.decide(low, high) == "faster" for low, high in runs)

    assert faster(1.05) >= 69
    assert faster(1.0) <= 1


def test_where_to_stop_depends_on_the_width_alone() -> None:
    """The same noise around another ratio: the same number of samples, whatever the verdict is."""
    for seed in range(20):
        runs = [run(Machine("gaussian", 0.6, seed, ratio, loudness=0.3))[0] for ratio in (0.5, 1.0, 1.01, 3.0)]
        assert len({(len(samples.own), samples.looks, samples.stopped) for samples in runs}) == 1
    stops = {run(Machine("gaussian", 0.6, seed, loudness=0.3))[0].looks for seed in range(20)}
    assert len(stops) > 1, "it always stopped at the same look, so this shows nothing"


def test_quiet_samples_stop_at_the_first_look_and_noisy_ones_at_the_last() -> None:
    quiet, noisy = Machine("gaussian", 0.0, 0), Machine("gaussian", 0.0, 0)
    quiet.own, quiet.baseline = np.full(256, 1.0), np.full(256, 2.0)
    samples, ratio, low, high = run(quiet)
    assert (samples.looks, samples.stopped, len(samples.own)) == (1, "tight", 16)
    assert said(ratio, low, high) == [2.0] * 3
    noisy.own = noisy.own * np.exp(np.random.default_rng(0).standard_normal(256))
    found = run(noisy)[0]
    assert (found.looks, found.stopped) == (4, "most")


def test_a_steady_drift_cancels() -> None:
    machine = Machine("gaussian", 0.0, 0)
    machine.own = machine.baseline = np.exp(np.linspace(0, 2, 256))
    _, ratio, low, high = run(machine)
    step = float(np.exp(2 / 255))  # the two pairs of a quad differ from 1 by as much, to either side
    assert said(ratio, low, high) == said(1.0, 1 / step, step)


def test_resampling_whole_blocks_widens_the_interval_of_a_series_that_hangs_together() -> None:
    generator = np.random.default_rng(3)
    series = correlated(generator, 64, 0.9, 0.05)
    shuffled = generator.permutation(series)
    assert np.diff(statistics._bootstrap(series, 0.95)) > 1.3 * np.diff(statistics._bootstrap(shuffled, 0.95))
    assert statistics.effective_number(series) < 0.5 * statistics.effective_number(shuffled)


def test_pairing_removes_what_both_sides_share() -> None:
    generator = np.random.default_rng(4)
    shared = np.exp(correlated(generator, 64, 0.5, 0.5))
    _, low, high = statistics.ratio_interval(2 * shared, shared)
    assert said(low, high) == [2.0] * 2


def test_the_interval_of_few_samples_holds_them_all() -> None:
    values = np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    assert statistics.fewest_quads(0.95) == 6
    assert statistics.interval(values, 0.95) == (1.0, 6.0)


def test_planned_looks_double_and_share_the_confidence() -> None:
    for affordable in range(1, 200):
        looks, confidence = sampler.planned_looks(affordable)
        chances = [1 - confidence, *(1 - sampler.early(quads) for quads in looks[:-1])]
        assert said(sum(chances))[0] <= said(1 - statistics.CONFIDENCE)[0]
        assert chances[0] >= sum(chances) / 2, "the last look decides where there is noise"
        assert looks[-1] == max(2, min(affordable, sampler.MOST_QUADS))
        assert all(after // 2 == before for before, after in itertools.pairwise(looks))
        if affordable >= 6:
            assert looks[-1] >= statistics.fewest_quads(confidence)
            assert all(quads >= statistics.fewest_quads(sampler.early(quads)) for quads in looks[:-1])
    assert sampler.planned_looks(64)[0] == (8, 16, 32, 64)
    assert sampler.planned_looks(6) == ((6,), 0.95)


@pytest.mark.parametrize("kind", ["heavy", "spikes", "skewed"])
def test_a_median_lies_in_its_own_interval(kind: str) -> None:
    for seed in range(20):
        samples = np.exp(20 * noise(kind, np.random.default_rng(seed), 128)).tolist()
        median, low, high = statistics.median_interval(samples)
        assert low <= median <= high
        ratio, ratio_low, ratio_high = statistics.ratio_interval([1.0] * 128, samples)
        assert ratio_low <= ratio <= ratio_high


def test_intervals_are_the_same_each_time_they_are_computed() -> None:
    values = np.random.default_rng(5).standard_normal(20).tolist()
    assert statistics.median_interval(values) == statistics.median_interval(values)


@pytest.mark.parametrize(
    ("low", "high", "certain", "possible", "word", "reason"),
    [
        (1.2, 1.3, 1.0, 1.0, "faster", "the whole interval [1.2, 1.3] of the ratio lies above 1"),
        (0.7, 0.8, 1.0, 1.0, "slower", "the whole interval [0.7, 0.8] of the ratio lies below 1"),
        (0.99, 1.01, 1.0, 1.0, "same", "the whole interval [0.99, 1.01] of the ratio lies within 3 % of 1"),
        (1.01, 1.02, 1.0, 1.0, "same", "the whole interval [1.01, 1.02] of the ratio lies within 3 % of 1"),
        (0.9, 1.2, 1.0, 1.0, "undecided", "the interval [0.9, 1.2] of the ratio holds 1, and differences beyond 3 %"),
        (1.04, 1.2, 1.05, 1.1, "undecided", "lies above 1, but no further than the baseline beside itself differs here (5 %)"),
        (0.8, 0.96, 1.05, 1.1, "undecided", "lies below 1, but no further than the baseline beside itself differs here (5 %)"),
        (1.06, 1.2, 1.05, 1.1, "faster", "lies above 1"),
        (
            1.06,
            1.2,
            1.05,
            1.13,
            "undecided",
            "but the ratio 1.128 no further than the baseline beside itself may differ here (13 %)",
        ),
        (0.8, 0.94, 1.05, 1.5, "slower", "lies below 1"),
    ],
)
def test_decisions_and_their_reasons(low: float, high: float, certain: float, possible: float, word: str, reason: str) -> None:
    noise = statistics.Noise(certain, possible)
    found = statistics.decision(low, high, noise)
    assert (found.word, statistics.decide(low, high, noise)) == (word, word)
    assert reason in found.reason


def test_the_ratio_itself_is_held_against_the_possible_noise() -> None:
    noise = statistics.Noise(possible=1.1)
    assert [statistics.decide(1.02, 1.3, noise, ratio) for ratio in (1.09, 1.11)] == ["undecided", "faster"]


def test_the_noise_of_a_pair_is_what_its_interval_leaves_out_and_what_it_reaches() -> None:
    assert statistics.noise_of(0.9, 1.1) == statistics.Noise(1.0, 1 / 0.9)
    assert statistics.noise_of(1.05, 1.1) == statistics.Noise(1.05, 1.1)
    assert said(statistics.noise_of(0.8, 0.9).certain) == said(1 / 0.9)


RECORDED = json.loads(Path(__file__).with_name("recorded_noise.json").read_text(encoding="utf-8"))
"""Twelve series of an implementation beside itself, in microseconds for each call and in the order taken: four kinds of work
on two cores, for which about sixteen processes competed."""
BLOCK = 16


def faster_on_recorded_noise(ratio: float, seed: int) -> bool:
    """Whether a run whose noise is drawn from what was recorded calls this true ratio faster.

    Blocks of eight quads keep what hangs together in time. Each is exchanged between the sides with a chance of one half, so
    that what favoured one side throughout is no difference.
    """
    generator = np.random.default_rng(seed)
    series = RECORDED[generator.integers(len(RECORDED))]
    sides = [np.array(series[name]).reshape(-1, BLOCK) for name in ("own", "baseline")]
    drawn, exchanged = generator.integers(len(sides[0]), size=8), generator.random((8, 1)) < 0.5
    own, baseline = (np.where(exchanged, one[drawn], other[drawn]).ravel() for one, other in (sides, sides[::-1]))
    taken = {id(OWN): iter(own), id(BASELINE): iter(baseline * ratio)}
    plan = sampler.SamplingPlan(1, 1, *sampler.planned_looks(sampler.MOST_QUADS))
    samples = sampler.sample([OWN], [BASELINE], lambda side, _: float(next(taken[id(side)])), plan, 1e9, now=lambda: 0.0)
    _, low, high = statistics.ratio_interval(samples.baseline, samples.own, samples.confidence)
    return statistics.decide(low, high) == "faster"


def test_on_recorded_noise_a_twentieth_is_found_nine_times_in_ten_and_hardly_ever_made_up() -> None:
    assert sum(faster_on_recorded_noise(1.05, seed) for seed in range(72)) >= 65
    assert sum(faster_on_recorded_noise(1.0, seed) for seed in range(72)) <= 1
