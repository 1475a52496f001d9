"""What is claimed and plotted of sigmoid attention is measured as it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from conformance.engine.comparison import compare
from conformance.sigmoid_attention import claims, curves
from conformance.studies.study import Effort
from impls.implementation import NotRun, Unsupported
from impls.sigmoid_attention.registry import IMPLEMENTATIONS
from reference.rounding import FLOAT32, FLOAT64, gamma
from reference.sigmoid_attention import log_length_bias
from tools import attention_tuning, tuning

QUICK = Effort(quick=True)


def trace(name: str) -> tuple[list[float], list[float]]:
    implementation = next(i for i in IMPLEMENTATIONS if i.name == f"sigmoid_attention/{name}")
    (found,) = curves.error_against_length(implementation, QUICK)
    return list(found.x), list(found.y)


def test_an_absolute_error_shows_more_the_longer_the_sequence_and_a_relative_one_does_not() -> None:
    lengths, ours = trace("torch-blocked")
    _, tanh = trace("numpy-tanh")
    # Scale, product, bias and activation: some tens of roundings, at any length.
    assert max(ours) <= gamma(100, FLOAT32.unit_roundoff)
    assert tanh == sorted(tanh)
    # From 4096 on a typical weight is off by more than a thousandth, and by nearly all of what the instruction's error allows.
    assert tanh[lengths.index(4096)] > 1e-3 > ours[lengths.index(4096)] * 100
    assert all(error > 0 for error in ours)


def test_what_computes_something_else_has_no_curve() -> None:
    with pytest.raises(Unsupported, match="softmax"):
        trace("softmax-fused")
    with pytest.raises(Unsupported, match="no bias"):
        trace("x-transformers")


def test_norms_grow_as_claimed_and_stop_with_the_bias() -> None:
    finding = claims.run_norms(QUICK)
    assert finding.verdict == "holds"
    plain, biased, softmax = (np.asarray(series.y) for series in finding.series)
    assert plain[-1] / plain[0] > 40
    assert max(biased) / min(biased) < 2
    assert max(softmax) / min(softmax) < 2


@pytest.mark.parametrize("bias", [None, log_length_bias(6)])
def test_the_jacobian_s_norm_is_that_of_the_whole_matrix(bias: float | None) -> None:
    rng = np.random.default_rng(0)
    x, step = rng.normal(size=(6, 3)), 1e-30
    weights = tuple(rng.normal(size=(3, 3)) for _ in range(3))
    columns = []
    for i in range(x.size):
        moved = x.astype(complex)
        moved.flat[i] += 1j * step
        columns.append(claims._attend(moved, weights, bias).imag.ravel() / step)  # type: ignore[arg-type]
    exact = float(np.linalg.norm(np.array(columns), ord=2))
    found = claims.jacobian_norm(x, weights, bias, rounds=200)  # type: ignore[arg-type]
    # Power iteration comes from below and has converged; what is left is rounding.
    assert compare("norm", found, exact, gamma(10**4, FLOAT64.unit_roundoff) * exact).passed


@pytest.mark.parametrize("broken", ["theorem", "ball_bound"])
def test_the_theorem_s_bound_is_held_and_would_be_missed_if_it_were_broken(
    broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert claims.run_regularity(QUICK).verdict == "holds"
    bound = getattr(claims, broken)
    monkeypatch.setattr(claims, broken, lambda *arguments: bound(*arguments) / 10)
    assert claims.run_regularity(QUICK).verdict == "does not hold"


def test_the_ball_s_bound_is_above_that_of_every_point_in_it() -> None:
    rng = np.random.default_rng(0)
    n = 12
    wq, wk, wv = (np.linalg.qr(rng.normal(size=(4, 4)))[0] for _ in range(3))
    for radius in (0.2, 1.0, 3.0):
        for _ in range(20):
            x = rng.normal(size=(n, 4))
            x *= radius / np.linalg.norm(x, axis=1).max()
            assert claims.theorem(x, (wq, wk, wv), log_length_bias(n)) <= claims.ball_bound(radius, n)


def test_a_search_goes_uphill_and_stays_within_the_ball() -> None:
    rng = np.random.default_rng(0)
    start = rng.normal(size=(5, 3)) / 10
    visited = []

    def first(x: np.ndarray) -> float:
        visited.append(float(np.linalg.norm(x, axis=1).max()))
        return float(x[:, 0].sum())

    value, where = claims.climb(first, start, 0.5, 200, rng)
    assert first(where) == value > first(start)
    assert value > 0.9 * 5 * 0.5
    assert max(visited) <= 0.5 * (1 + gamma(10, FLOAT64.unit_roundoff))


def test_the_small_model_trains_with_every_kind() -> None:
    for kind in (claims.SOFTMAX, claims.BIASED, claims.PLAIN):
        losses, first = claims.train(kind, 1e-2, 6, 0)
        assert len(losses) == 6
        assert all(math.isfinite(loss) for loss in losses)
        assert first > 0
        assert (losses, first) == claims.train(kind, 1e-2, 6, 0)


@pytest.mark.parametrize(
    ("end", "verdict"),
    # The loss at which runs without the bias end, after a rise; those with it fall from 3 to 1.
    [(2.0, "holds"), (0.5, "does not hold"), (math.nan, "holds")],
)
def test_training_is_compared_run_by_run(end: float, verdict: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def train(kind: str, rate: float, steps: int, seed: int) -> tuple[list[float], float]:
        rest = [9.0, end] if kind == claims.PLAIN else [2.0, 1.0]
        return [3.0, rest[0], *rest[1:] * (steps - 2)], 1.0

    monkeypatch.setattr(claims, "train", train)
    finding = claims.run_training(QUICK)
    assert finding.verdict == verdict
    for series in finding.series:
        series.to_json()


def test_tuning_asks_for_a_device(tmp_path: Path) -> None:
    assert attention_tuning.main(["-o", str(tmp_path / "tuning.json")]) == 1
    assert not (tmp_path / "tuning.json").exists()


def test_every_kernel_that_is_tuned_runs_alone_and_with_other_options() -> None:
    for job in attention_tuning.jobs():
        if job.dim == 128 and not job.kernel.startswith("hopper"):
            continue
        small = attention_tuning.KernelJob(job, "cpu", 40, 1, 1)
        change = {"RECIPROCALS": 4} if job.causal else {"BLOCK_M": 32, "BLOCK_N": 32}
        for tried in ({}, change):
            assert tuning.verified(small.verify(tried)) <= 1


def test_a_claim_about_a_gpu_is_not_run_without_one() -> None:
    with pytest.raises(NotRun, match="CUDA"):
        claims.run_speed(QUICK)
