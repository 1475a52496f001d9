"""The bounds hold for honest arithmetic in many orders and formats, and are tight enough to catch a relative error of 1e-4."""

from __future__ import annotations

import warnings
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from conformance.ademamix.mutants import MUTANTS
from impls.ademamix.numpy_optimizer import NumpyAdEMAMix
from reference import ademamix as reference
from reference.ademamix import Hyperparameters
from reference.ademamix.companding import ratio_gap, root_gap
from reference.rounding import FLOAT32, FLOAT64, format_of, gamma

PUBLISHED = Hyperparameters(alpha=8.0, weight_decay=0.1, t_alpha=40, t_beta3=60)
HONEST = [variant for variant in MUTANTS if variant.honest]


def _margins(
    optimizer: type[NumpyAdEMAMix], hyper: Hyperparameters, dtype: str, class_name: str, seed: int, scale: float
) -> Any:
    """Largest |error| / bound over a run of 60 steps of 40 elements, of the parameter and of each moment."""
    rng = np.random.default_rng(seed)
    fmt = format_of(dtype)
    theta = fmt.round(rng.standard_normal(40))
    gradients = fmt.round((rng.standard_normal((60, 40)) + 0.3) * scale)
    etas = (10.0 ** rng.uniform(-3, -1, 60)).tolist()
    run = optimizer([([theta], hyper)], dtype)
    worst = {"theta": 0.0, "m1": 0.0, "m2": 0.0, "nu": 0.0}
    snapshots = reference.bounded_trajectory(theta, list(gradients), etas, hyper, dtype, reference.numerical_class(class_name))
    for g, eta, expected in zip(gradients, etas, snapshots, strict=True):
        run.step([[g]], [eta])
        kept = run.moments[0][0]
        for name, got in (("theta", run.groups[0][0][0]), ("m1", kept.m1), ("m2", kept.m2), ("nu", kept.nu)):
            error = np.abs(np.asarray(got, dtype=np.float64) - getattr(expected, name))
            bound = getattr(expected, f"{name}_bound")
            with np.errstate(invalid="ignore"):
                worst[name] = max(worst[name], float(np.max(np.where(error == 0, 0.0, error / bound))))
    return worst


@pytest.mark.parametrize("variant", HONEST, ids=lambda v: v.name)
@pytest.mark.parametrize("scale", [1.0, 1e-6, 1e-12, 1e12])
@pytest.mark.parametrize(
    "hyper",
    [PUBLISHED, replace(PUBLISHED, t_alpha=None, t_beta3=None), replace(PUBLISHED, beta1=0.5, beta2=0.9, beta3=0.99)],
    ids=["schedules", "constant", "short"],
)
def test_no_honest_variant_leaves_its_bound(variant: Any, scale: float, hyper: Hyperparameters) -> None:
    subject = variant.subject()
    for dtype in subject.dtypes:
        if scale == 1e12 and dtype == "float16":
            continue  # not a float16 number
        worst = _margins(subject.plug.loaded, hyper, dtype, subject.numerical_class, seed=5, scale=scale)
        assert max(worst.values()) <= 1, (dtype, worst)


@settings(max_examples=40, deadline=None)
@given(
    beta1=st.sampled_from([0.0, 0.5, 0.9, 0.95]),
    beta2=st.sampled_from([0.0, 0.5, 0.95, 0.999]),
    beta3=st.sampled_from([0.95, 0.99, 0.9999, 0.999999]),
    alpha=st.sampled_from([0.0, 1.0, 8.0, 100.0]),
    eps=st.sampled_from([0.0, 1e-12, 1e-8, 1e-3]),
    weight_decay=st.sampled_from([0.0, 0.1, 1.0]),
    warmup=st.sampled_from([None, 1, 7, 1_000_000]),
    scale=st.sampled_from([1e-20, 1e-10, 1e-3, 1.0, 1e6, 1e15, 1e25]),
    variant=st.sampled_from(HONEST),
    seed=st.integers(0, 1000),
)
def test_no_honest_variant_leaves_its_bound_on_drawn_runs(
    beta1: float,
    beta2: float,
    beta3: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    warmup: int | None,
    scale: float,
    variant: Any,
    seed: int,
) -> None:
    hyper = Hyperparameters(beta1, beta2, beta3, alpha, eps, weight_decay, warmup, warmup)
    subject = variant.subject()
    dtype = subject.dtypes[seed % len(subject.dtypes)]
    if dtype == "float16" and scale > 1e3:
        scale = 1.0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        worst = _margins(subject.plug.loaded, hyper, dtype, subject.numerical_class, seed, scale)
    assert max(worst.values()) <= 1, worst


def test_bounds_are_not_so_wide_that_honest_float32_disappears_in_them() -> None:
    worst = _margins(NumpyAdEMAMix, PUBLISHED, "float32", "", seed=5, scale=1.0)
    assert worst["theta"] > 0.05
    assert worst["m1"] > 0.02
    assert worst["nu"] > 0.02


def _scaled(name: str, factor: float) -> type[NumpyAdEMAMix]:
    """The NumPy optimizer with one quantity off by a factor."""

    def wrong(self: NumpyAdEMAMix, *arguments: Any) -> Any:
        return getattr(NumpyAdEMAMix, name)(self, *arguments) * self.compute(factor)

    return type("Scaled", (NumpyAdEMAMix,), {name: wrong})


@pytest.mark.parametrize("name", ["corrected_fast", "corrected_slow", "numerator", "denominator", "second", "slow"])
def test_relative_error_of_one_in_ten_thousand_is_outside(name: str) -> None:
    hyper = Hyperparameters(beta1=0.875, beta2=0.9375, beta3=1 - 2.0**-7, alpha=4.0)
    assert _margins(_scaled(name, 1.0), hyper, "float32", "", seed=5, scale=1.0)["theta"] <= 1
    assert _margins(_scaled(name, 1.0001), hyper, "float32", "", seed=5, scale=1.0)["theta"] > 3


def test_overflowing_squares_are_not_claimed_and_others_are() -> None:
    (snapshot,) = reference.bounded_trajectory([1.0, 1.0], [FLOAT32.round([1e25, 1e15])], [0.1], PUBLISHED, "float32")
    assert np.isinf(snapshot.nu_bound[0])
    assert np.isinf(snapshot.theta_bound[0])
    assert snapshot.theta_bound[1] < 1e-5


def test_squares_that_overflow_before_their_gain_are_not_claimed() -> None:
    # nu itself would fit: 0.001 * 4e38
    (snapshot,) = reference.bounded_trajectory([1.0], [FLOAT32.round([2e19])], [0.1], PUBLISHED, "float32")
    assert np.isinf(snapshot.nu_bound[0])


def test_parameters_that_may_overflow_their_format_are_not_claimed() -> None:
    (snapshot,) = reference.bounded_trajectory([60000.0, 1.0], [np.ones(2)], [8000.0], PUBLISHED, "float16")
    assert np.isinf(snapshot.theta_bound[0])
    assert np.isfinite(snapshot.theta_bound[1])


def test_float64_bounds_are_not_so_wide_that_honest_float64_disappears_in_them() -> None:
    hyper = Hyperparameters(beta1=0.875, beta2=0.9375, beta3=1 - 2.0**-7, alpha=4.0, weight_decay=0.1)
    assert _margins(NumpyAdEMAMix, hyper, "float64", "", seed=5, scale=1.0)["theta"] > 0.002


def test_non_finite_law_is_met_by_equality_alone() -> None:
    run = list(reference.bounded_trajectory([1.0, 1.0], [np.array([np.nan, 1.0])] * 2, [0.1] * 2, PUBLISHED, "float32"))
    assert np.isnan(run[1].theta[0])
    assert run[1].theta_bound[0] == 0
    assert 0 < run[1].theta_bound[1] < 1e-5


def test_inputs_that_the_dtype_does_not_hold_are_refused() -> None:
    with pytest.raises(ValueError, match="theta holds values that float32 does not"):
        list(reference.bounded_trajectory([0.1], [np.zeros(1)], [0.1], PUBLISHED, "float32"))
    with pytest.raises(ValueError, match="a gradient holds values that bfloat16 does not"):
        list(reference.bounded_trajectory([1.0], [np.array([0.1])], [0.1], PUBLISHED, "bfloat16"))


def test_declared_classes_only_widen_the_strict_bound() -> None:
    rng = np.random.default_rng(0)
    theta, gradients = np.ones(4096), list(FLOAT32.round(rng.uniform(1, 2, (3, 4096))))
    hyper = Hyperparameters(t_alpha=5, t_beta3=5)

    def bound(name: str) -> Any:
        *_, last = reference.bounded_trajectory(theta, gradients, [0.1] * 3, hyper, "float32", reference.numerical_class(name))
        return last.theta_bound

    strict = bound("")
    assert np.all(bound("float32-hyperparameters") > strict)
    assert np.all(bound("blockwise-8bit") > strict)
    assert np.all(bound("ratios-8bit") > strict)
    np.testing.assert_array_equal(bound("parameter-dtype"), strict)  # float32 parameters: the same thing
    with pytest.raises(ValueError, match="unknown numerical class 'lenient'; expected one of float32-states"):
        reference.numerical_class("lenient")


def test_gaps_between_roots_and_between_ratios_bound_both_neighbours() -> None:
    x = np.concatenate([np.linspace(0, 1, 4001), 10.0 ** np.linspace(-9, 0, 4001)])
    for gap, powers in ((root_gap, (np.arange(256) / 255) ** 3), (ratio_gap, (np.arange(128) / 127) ** 2)):
        above = np.clip(np.searchsorted(powers, x, side="right"), 1, len(powers) - 1)
        own = powers[above] - powers[above - 1]
        assert np.all(own <= gap(x) * (1 + 2.0**-40))
        assert np.all(np.diff(gap(np.sort(x))) >= 0)
        assert np.median(gap(x) / own) < 1.5  # and are not much wider


def test_ratios_bound_small_elements_beside_large_ones_where_a_code_book_for_moments_does_not() -> None:
    """After one step from zero the moments are known exactly, so that only how they are stored is in the bound."""
    rng = np.random.default_rng(3)
    g = FLOAT32.round(rng.normal(size=4096) * np.exp(2 * rng.normal(size=4096)))
    relative = {}
    for states in ("ratios-8bit", "blockwise-8bit"):
        hyper, numerical = Hyperparameters(), reference.numerical_class(states)
        (first,) = reference.bounded_trajectory(np.zeros(4096), [g], [0.1], hyper, "float32", numerical)
        relative[states] = {name: getattr(first, f"{name}_bound") / np.abs(getattr(first, name)) for name in ("m1", "nu")}
    assert np.max(relative["ratios-8bit"]["m1"]) < 1 < np.max(relative["blockwise-8bit"]["m1"])
    assert np.median(relative["ratios-8bit"]["nu"]) < 1 < np.median(relative["blockwise-8bit"]["nu"])


@pytest.mark.parametrize("signed", [True, False])
def test_quantisation_error_bounds_the_nearest_code(signed: bool) -> None:
    code = np.array(reference.dynamic_code_book(signed))
    assert len(code) == 256
    x = np.concatenate([np.linspace(0, 1, 4001), 10.0 ** np.linspace(-8, 0, 4001), code[code >= 0]])
    for sign in (1.0, -1.0) if signed else (1.0,):
        error = np.abs(sign * x[:, None] - code).min(axis=1)
        bound = reference.quantisation_error(x, signed)
        assert np.all(error <= bound * (1 + gamma(4, FLOAT64.unit_roundoff)) + FLOAT64.unit_roundoff)
    assert np.all(np.diff(reference.quantisation_error(np.sort(x), signed)) >= 0)
    # the top decade has 64 or 128 fractions between 0.1 and 1
    top = 0.9 / (128 if signed else 256)
    assert abs(float(reference.quantisation_error(1.0, signed)) - top) <= gamma(8, FLOAT64.unit_roundoff)


@pytest.mark.parametrize("name", ["float32-states", "float32-hyperparameters"])
def test_decays_that_float32_holds_cost_less_than_others(name: str) -> None:
    exact = Hyperparameters(beta1=0.875, beta2=0.9375, beta3=1 - 2.0**-7)
    numerical = reference.numerical_class(name)

    def bound(hyper: Hyperparameters) -> float:
        *_, last = reference.bounded_trajectory([1.0], [np.ones(1)] * 20, [0.1] * 20, hyper, "float32", numerical)
        return float(last.m2_bound[0])

    # 0.9922 rounds to float32 with an error of up to 3e-8 per step; 1 - 2**-7 does not
    error = abs(float(FLOAT32.round(0.9922)) - 0.9922)
    assert bound(replace(exact, beta3=0.9922)) - bound(exact) > error


@pytest.mark.parametrize("states", ["blockwise-8bit", "ratios-8bit"])
def test_moments_that_are_quantised_again_in_another_order_may_be_off_by_more(states: str) -> None:
    rng = np.random.default_rng(5)
    shape, hyper = (64, 80), Hyperparameters(beta1=0.5, beta2=0.9375, beta3=0.9921875, alpha=4.0, eps=2.0**-60)
    gradients = [FLOAT32.round(rng.normal(size=shape)) for _ in range(3)]

    def bounds(relaid: tuple[int, tuple[int, ...]] | None, name: str) -> list[reference.Snapshot]:
        steps = reference.bounded_trajectory(
            np.zeros(shape), gradients, (2.0**-4,) * 3, hyper, "float32", reference.numerical_class(name), relaid=relaid
        )
        return list(steps)

    plain, again = bounds(None, states), bounds((2, (1, 0)), states)
    for number in (0, 1):
        assert np.array_equal(plain[number].theta_bound, again[number].theta_bound)
    assert np.all(again[2].theta_bound >= plain[2].theta_bound * (1 - 2.0**-40))
    assert np.mean(again[2].theta_bound > 1.05 * plain[2].theta_bound) > 0.5
    strict = bounds(None, ""), bounds((2, (1, 0)), "")
    assert all(np.array_equal(a.theta_bound, b.theta_bound) for a, b in zip(*strict, strict=True))
