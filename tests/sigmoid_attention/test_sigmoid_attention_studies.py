"""What is claimed and plotted of sigmoid attention is measured as it says."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from conformance.comparison import compare
from conformance.sigmoid_attention import claims, curves, tuning
from conformance.studies import Effort
from impls.contract import NotRun, Unsupported
from impls.sigmoid_attention import IMPLEMENTATIONS
from reference.rounding import FLOAT32, FLOAT64, gamma
from reference.sigmoid_attention import log_length_bias

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


def test_the_theorem_s_bound_is_held_and_would_be_missed_if_it_were_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    assert claims.run_regularity(QUICK).verdict == "holds"
    bound = claims.theorem
    monkeypatch.setattr(claims, "theorem", lambda *arguments: bound(*arguments) / 10)
    assert claims.run_regularity(QUICK).verdict == "does not hold"


def test_the_small_model_trains_with_every_kind() -> None:
    for kind in ("softmax", "sigmoid, b = -log n", "sigmoid, b = 0"):
        losses = claims.train(kind, 6, 0)
        assert len(losses) == 6
        assert all(math.isfinite(loss) for loss in losses)
        assert losses == claims.train(kind, 6, 0)


def test_tuning_asks_for_a_device_and_tries_the_tiles_in_use(tmp_path: Path) -> None:
    with pytest.raises(NotRun, match="CUDA"):
        tuning.tune("cpu", tmp_path / "tuning.jsonl")
    assert tuning.main(["-o", str(tmp_path / "tuning.jsonl")]) == 1
    hopper = list(tuning.candidates("hopper"))
    assert {"BLOCK_M": 128, "BLOCK_N": 128, "SPECIALISED": True, "NEWTON": True, "num_warps": 4} in hopper


def test_a_claim_about_a_gpu_is_not_run_without_one() -> None:
    with pytest.raises(NotRun, match="CUDA"):
        claims.run_speed(QUICK)
