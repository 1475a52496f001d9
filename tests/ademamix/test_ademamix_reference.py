"""The reference of AdEMAMix is compared with 50-digit arithmetic, with the paper's own definitions, and with AdamW."""

from __future__ import annotations

import math
from typing import Any

import mpmath as mp
import numpy as np
import pytest

from reference import ademamix as reference
from reference.rounding import FLOAT64, gamma

mp.mp.dps = 50
PAPER = reference.Hyperparameters(alpha=8.0, weight_decay=0.1, t_alpha=7, t_beta3=11)
DYADIC = reference.Hyperparameters(beta1=0.75, beta2=0.5, beta3=1 - 2**-6, alpha=2.0, eps=2**-10, weight_decay=0.25, t_alpha=5)


def _mp_beta3(t: int, hyper: reference.Hyperparameters) -> Any:
    if not hyper.t_beta3 or t >= hyper.t_beta3:
        return mp.mpf(hyper.beta3)
    # Appendix A.1 as it is defined, half-lives mixed linearly; not the closed form that the reference evaluates.
    mu = mp.mpf(t) / mp.mpf(hyper.t_beta3)
    start, end = (mp.log(0.5) / mp.log(mp.mpf(b)) - 1 for b in (hyper.beta1, hyper.beta3))
    return mp.mpf("0.5") ** (1 / ((1 - mu) * start + mu * end + 1))


def _mp_run(
    theta: float, gradients: list[float], etas: list[float], hyper: reference.Hyperparameters
) -> list[tuple[Any, ...]]:
    b1, b2 = mp.mpf(hyper.beta1), mp.mpf(hyper.beta2)
    x, m1, m2, nu = mp.mpf(theta), mp.mpf(0), mp.mpf(0), mp.mpf(0)
    out = []
    for t, (g, eta) in enumerate(zip(map(mp.mpf, gradients), map(mp.mpf, etas), strict=True), start=1):
        b3 = _mp_beta3(t, hyper)
        alpha = mp.mpf(hyper.alpha) * (min(mp.mpf(t) / mp.mpf(hyper.t_alpha), 1) if hyper.t_alpha else 1)
        m1 = b1 * m1 + (1 - b1) * g
        m2 = b3 * m2 + (1 - b3) * g
        nu = b2 * nu + (1 - b2) * g**2
        direction = (m1 / (1 - b1**t) + alpha * m2) / (mp.sqrt(nu / (1 - b2**t)) + mp.mpf(hyper.eps))
        x = x - eta * (direction + mp.mpf(hyper.weight_decay) * x)
        out.append((x, m1, m2, nu))
    return out


@pytest.mark.parametrize("hyper", [PAPER, DYADIC, reference.Hyperparameters(t_beta3=1_000_000, t_alpha=770_000)])
def test_a_run_agrees_with_fifty_digits_within_the_float64_bound(hyper: reference.Hyperparameters) -> None:
    rng = np.random.default_rng(3)
    gradients = (rng.standard_normal(25) * 10.0 ** rng.integers(-6, 6, 25)).tolist()
    etas = (10.0 ** rng.uniform(-4, 0, 25)).tolist()
    exact = _mp_run(0.7, gradients, etas, hyper)
    for got, expected in zip(reference.bounded_trajectory(0.7, gradients, etas, hyper, "float64"), exact, strict=True):
        for value, bound, truth in (
            (got.theta, got.theta_bound, expected[0]),
            (got.m1, got.m1_bound, expected[1]),
            (got.m2, got.m2_bound, expected[2]),
            (got.nu, got.nu_bound, expected[3]),
        ):
            # the float64 bound is for two rounded sides; the reference alone must use less than half of it
            assert abs(mp.mpf(float(value)) - truth) <= float(bound) / 2


@pytest.mark.parametrize("beta", [0.1, 0.5, 0.9, 0.999, 0.9999, 1 - 2**-20])
def test_half_life_is_where_the_weights_have_summed_to_one_half(beta: float) -> None:
    # A.1: the EMA's weights are (1 - beta) beta**i; find t with (1 - beta) sum_{i<=t} beta**i = 1/2, i.e. beta**(t+1) = 1/2.
    t = float(reference.half_life(beta))
    assert abs(mp.mpf(beta) ** (mp.mpf(t) + 1) - mp.mpf("0.5")) <= 4 * FLOAT64.unit_roundoff
    assert abs(float(reference.beta_of_half_life(t)) - beta) <= 4 * FLOAT64.unit_roundoff


def test_published_epsilon_inside_the_logarithm_lengthens_the_half_life_by_one_part_in_ten_thousand() -> None:
    with_eps = math.log(0.5) / math.log(0.9999 + 1e-8) - 1
    assert 0.9e-4 < with_eps / float(reference.half_life(0.9999)) - 1 < 1.1e-4


@pytest.mark.parametrize("start", [0.9, 0.5, 0.0])
@pytest.mark.parametrize("end", [0.99, 0.9999, 0.999999])
@pytest.mark.parametrize("warmup", [1, 2, 7, 770_000])
def test_closed_form_is_the_linear_path_between_half_lives(start: float, end: float, warmup: int) -> None:
    steps = np.unique(np.linspace(1, warmup, min(warmup, 40)).round())
    got = reference.beta3_schedule(steps, end, warmup, start)
    mu = steps / warmup
    by_definition = reference.beta_of_half_life((1 - mu) * reference.half_life(start) + mu * reference.half_life(end))
    assert np.all(np.abs(got - by_definition) <= gamma(32, FLOAT64.unit_roundoff))
    assert np.all(np.diff(got) >= 0)
    assert got[-1] == end


def test_beta_start_of_zero_is_the_limit_of_small_ones() -> None:
    mp_start = mp.mpf("1e-4000")  # the limit is approached as slowly as 1 / ln
    for t in (1, 3, 9):
        ends, starts = mp.log(mp.mpf(0.99)), mp.log(mp_start)
        mu = mp.mpf(t) / 10
        closed = mp.exp(starts * ends / ((1 - mu) * ends + mu * starts))
        limit = float(reference.beta3_schedule(t, 0.99, 10, 0.0))
        assert abs(limit - 0.99 ** (10 / t)) <= gamma(8, FLOAT64.unit_roundoff)
        assert abs(closed - limit) < mp.mpf(10) ** -4


def test_schedules_start_at_one_end_exactly_and_stay() -> None:
    assert float(reference.alpha_schedule(1, 8.0, 4)) == 2.0
    steps = np.array([4, 5, 400])
    assert reference.alpha_schedule(steps, 0.3, 4).tolist() == [0.3] * 3
    assert 42 * 6.8 / 42 < 6.8  # so the end value must be given, not computed
    assert float(reference.alpha_schedule(42, 6.8, 42)) == 6.8
    assert reference.beta3_schedule(steps, 0.9999, 4, 0.9).tolist() == [0.9999] * 3
    assert reference.beta3_schedule(1, 0.9999, 1, 0.9) == 0.9999
    assert reference.beta3_schedule(21, 0.9, 20, 0.99) == 0.9  # the equation alone falls under beta3 here
    for nothing in (None, 0):
        assert reference.alpha_schedule(1, 8.0, nothing) == 8.0
        assert reference.beta3_schedule(1, 0.9999, nothing, 0.9) == 0.9999


def _run(hyper: reference.Hyperparameters, **options: Any) -> tuple[np.ndarray, reference.OptimizerState]:
    rng = np.random.default_rng(11)
    gradients = list(rng.standard_normal((30, 5)))
    *_, last = reference.trajectory(rng.standard_normal(5), gradients, [0.01] * 30, hyper, **options)
    return last


def test_alpha_of_zero_is_adamw_to_the_last_bit() -> None:
    hyper = reference.Hyperparameters(alpha=0.0, weight_decay=0.1, t_alpha=5, t_beta3=9)
    theta, state = _run(hyper)
    adamw, adamw_state = _run(hyper, switch_at=30)  # AdamW throughout
    np.testing.assert_array_equal(theta, adamw)
    np.testing.assert_array_equal(state.nu, adamw_state.nu)


def test_beta1_of_zero_makes_the_fast_average_the_gradient() -> None:
    rng = np.random.default_rng(0)
    state = reference.OptimizerState.zeros((3,))
    theta = np.zeros(3)
    for _ in range(4):
        g = rng.standard_normal(3)
        theta, state = reference.step(theta, g, state, reference.Hyperparameters(beta1=0.0, t_beta3=3), 0.1)
        np.testing.assert_array_equal(state.m1, g)


def test_small_beta1_runs_tend_to_the_beta1_zero_run() -> None:
    limit, _ = _run(reference.Hyperparameters(beta1=0.0, alpha=3.0))
    distances = [np.abs(_run(reference.Hyperparameters(beta1=b, alpha=3.0))[0] - limit).max() for b in (1e-2, 1e-4, 1e-6)]
    assert distances[0] > 50 * distances[1] > 2500 * distances[2] > 0


def test_switch_restarts_the_schedules_and_leaves_the_other_clock_alone() -> None:
    hyper = reference.Hyperparameters(alpha=4.0, t_alpha=4, t_beta3=4, beta3=0.99)
    rng = np.random.default_rng(5)
    gradients, etas = list(rng.standard_normal((8, 2))), [0.1] * 8
    states = [state for _, state in reference.trajectory(np.ones(2), gradients, etas, hyper, switch_at=5)]
    assert states[4].t_switch == 0
    assert not states[4].m2.any()
    assert states[5].t == 6
    assert states[5].t_switch == 5
    first = float(reference.beta3_schedule(1, 0.99, 4, 0.9))
    np.testing.assert_array_equal(states[5].m2, (1 - first) * gradients[5])
    never = [theta for theta, _ in reference.trajectory(np.ones(2), gradients, etas, hyper, switch_at=0)]
    always = [theta for theta, _ in reference.trajectory(np.ones(2), gradients, etas, hyper)]
    np.testing.assert_array_equal(never, always)


def test_scaling_gradients_and_eps_together_leaves_the_parameters_alone() -> None:
    rng = np.random.default_rng(2)
    gradients = list(rng.standard_normal((12, 4)))
    hyper = reference.Hyperparameters(eps=2.0**-8, weight_decay=0.1)
    scaled = reference.Hyperparameters(eps=2.0**-8 * 4, weight_decay=0.1)
    one = [theta for theta, _ in reference.trajectory(np.ones(4), gradients, [0.1] * 12, hyper)]
    other = [theta for theta, _ in reference.trajectory(np.ones(4), [4 * g for g in gradients], [0.1] * 12, scaled)]
    np.testing.assert_array_equal(one, other)


def test_flipping_gradients_and_parameters_flips_the_run() -> None:
    rng = np.random.default_rng(2)
    gradients = list(rng.standard_normal((12, 4)))
    one = [theta for theta, _ in reference.trajectory(np.ones(4), gradients, [0.1] * 12, PAPER)]
    other = [theta for theta, _ in reference.trajectory(-np.ones(4), [-g for g in gradients], [0.1] * 12, PAPER)]
    np.testing.assert_array_equal(one, [-theta for theta in other])


def test_missing_gradient_moves_nothing() -> None:
    run = list(reference.trajectory(np.ones(2), [np.ones(2), None, np.ones(2)], [0.1] * 3, PAPER))
    np.testing.assert_array_equal(run[1][0], run[0][0])
    assert run[1][1].t == 1
    assert run[2][1].t == 2


@pytest.mark.parametrize(
    "wrong", [{"beta1": 1.0}, {"beta3": -0.1}, {"alpha": -1.0}, {"eps": math.nan}, {"t_beta3": -1}, {"weight_decay": -1e-9}]
)
def test_impossible_hyperparameters_are_refused_by_name(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        reference.Hyperparameters(**wrong)


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="expected the same"):
        reference.step(np.zeros(3), np.zeros(1), reference.OptimizerState.zeros((3,)), PAPER, 0.1)  # NumPy would broadcast it


def test_hyperparameters_of_each_step_and_writes_are_those_of_single_steps() -> None:
    gradients, etas = [np.array([0.5, -2.0])] * 4, [0.25, 0.5, 0.125, 0.25]
    hypers = [PAPER, PAPER, DYADIC, DYADIC]
    theta, state = np.array([1.0, 3.0]), reference.OptimizerState.zeros((2,))
    expected = []
    for index, (g, eta, hyper) in enumerate(zip(gradients, etas, hypers, strict=True)):
        theta = np.array([4.0, -1.0]) if index == 1 else theta
        theta, state = reference.step(theta, g, state, hyper, eta)
        expected.append(theta)
    found = list(reference.trajectory(np.array([1.0, 3.0]), gradients, etas, hypers, writes={1: np.array([4.0, -1.0])}))
    assert np.array_equal(np.stack([theta for theta, _ in found]), np.stack(expected))
    assert np.array_equal(found[-1][1].m2, state.m2)


def test_a_write_ends_the_errors_of_the_parameter_and_leaves_those_of_the_moments() -> None:
    gradients, etas, write = [np.array([0.7])] * 3, [0.3] * 3, np.array([2.0])
    gradients = [np.float32(g).astype(np.float64) for g in gradients]
    plain, written = (
        list(reference.bounded_trajectory(np.array([1.0]), gradients, etas, PAPER, "float32", writes=writes))
        for writes in ({}, {2: write})
    )
    assert np.array_equal(plain[2].m2_bound, written[2].m2_bound)
    assert written[2].theta_bound < plain[2].theta_bound
    with pytest.raises(ValueError, match="theta holds values that float32 does not"):
        list(reference.bounded_trajectory(np.array([1.0]), gradients, etas, PAPER, "float32", writes={1: np.array([0.1])}))
