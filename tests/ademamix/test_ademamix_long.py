"""The bound on ten thousand steps is proved against wider arithmetic, and narrow enough for a millionth in a coefficient."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

from conformance.ademamix import cases
from impls.ademamix.numpy_optimizer import NumpyAdEMAMix
from reference.ademamix import coefficients

(CASE,) = cases.LONG_RUN


@cache
def _wide(dtype: str) -> Any:
    """The case by the reference in long double, 11 bits beyond float64, its coefficients in long double too."""
    problem = cases.problem_of(CASE, dtype)
    (group,), (tensor,) = problem.groups, problem.tensors
    h, wide = group.hyper, np.longdouble
    theta, m1, m2, nu = (np.array(v, dtype=wide) for v in (tensor.start, *(np.zeros(tensor.start.shape),) * 3))
    values = []
    log1, log2, log3 = (np.log(wide(b)) for b in (h.beta1, h.beta2, h.beta3))
    for t, (g, eta) in enumerate(zip(tensor.gradients, group.learning_rates, strict=True), start=1):
        share = wide(t) / wide(h.t_beta3 or 1)
        alpha = min(wide(h.alpha) * t / wide(h.t_alpha or 1), wide(h.alpha))
        beta3 = wide(h.beta3) if share >= 1 else np.exp(log1 * log3 / ((1 - share) * log3 + share * log1))
        g = np.asarray(g, dtype=wide)
        m1 = wide(h.beta1) * m1 + (1 - wide(h.beta1)) * g
        m2 = beta3 * m2 + (1 - beta3) * g
        nu = wide(h.beta2) * nu + (1 - wide(h.beta2)) * g * g
        first, second = -np.expm1(t * log1), -np.expm1(t * log2)
        direction = (m1 / first + alpha * m2) / (np.sqrt(nu / second) + wide(h.eps))
        theta = theta - wide(eta) * (direction + wide(h.weight_decay) * theta)
        values.append(theta.astype(np.float64))
    return np.stack(values)


def _bounds(dtype: str) -> tuple[Any, Any]:
    (expected,) = cases.expected_of(CASE, dtype, "")
    return np.stack([s.theta for s in expected]), np.stack([s.theta_bound for s in expected])


def test_reference_in_float64_is_within_its_own_bound_of_long_double() -> None:
    assert np.finfo(np.longdouble).nmant > 52, "this platform's long double proves nothing"
    expected, bound = _bounds("float64")
    error = np.abs(expected - _wide("float64"))
    assert np.all(error <= bound)
    assert np.any(error > 0)


def test_reference_in_float64_is_far_nearer_to_long_double_than_the_float32_bound() -> None:
    expected, bound = _bounds("float32")
    assert np.all(np.abs(expected - _wide("float32")) <= bound * 2.0**-20)


def _worst(optimizer: type[NumpyAdEMAMix], dtype: str) -> float:
    """The margin against long double: a float64 run may agree with a float64 reference to the last bit."""
    problem = cases.problem_of(CASE, dtype)
    (group,), (tensor,) = problem.groups, problem.tensors
    run = optimizer([([tensor.start], group.hyper)], dtype)
    expected, (_, bound) = _wide(dtype), _bounds(dtype)
    worst = 0.0
    for step, (g, eta) in enumerate(zip(tensor.gradients, group.learning_rates, strict=True)):
        run.step([[g]], [eta])
        got = np.asarray(run.groups[0][0][0], dtype=np.float64)
        worst = max(worst, float(np.max(np.abs(got - expected[step]) / bound[step])))
    return worst


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_honest_run_stays_within_the_bound_and_does_not_disappear_in_it(dtype: str) -> None:
    assert 2.0**-12 < _worst(NumpyAdEMAMix, dtype) <= 1


class OffByAMillionth(NumpyAdEMAMix):
    """The slow EMA takes in a millionth too much."""

    def slow(self, m2: Any, g: Any, beta3: float) -> Any:
        return self.compute(beta3) * m2 + self.compute((1 - beta3) * (1 + 1e-6)) * g


class DecayOffByAMillionth(NumpyAdEMAMix):
    """The slow EMA keeps a millionth too much."""

    def slow(self, m2: Any, g: Any, beta3: float) -> Any:
        return self.compute(beta3 * (1 + 1e-6)) * m2 + self.compute(1 - beta3) * g


class SingleGain(NumpyAdEMAMix):
    """1 - beta is formed in float32."""

    def average(self, m: Any, x: Any, beta: float) -> Any:
        return self.compute(beta) * m + self.compute(np.float32(1) - np.float32(beta)) * x


@pytest.mark.parametrize(
    ("wrong", "dtype"),
    [
        (OffByAMillionth, "float64"),
        (DecayOffByAMillionth, "float64"),
        (DecayOffByAMillionth, "float32"),
        (SingleGain, "float64"),
    ],
)
def test_a_millionth_in_a_coefficient_is_outside(wrong: type[NumpyAdEMAMix], dtype: str) -> None:
    assert _worst(wrong, dtype) > 1


def test_schedules_of_the_case_end_within_the_run() -> None:
    hyper = CASE.groups[0].hyper
    assert coefficients(hyper, 5999).alpha < hyper.alpha == coefficients(hyper, 6000).alpha
    assert coefficients(hyper, 10_000).correction1 == 1.0
