"""What low precision costs is measured on one trajectory, and ours with 8 bits is ahead of the published one all along it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.ademamix import curves
from conformance.engine.isolation import process_state_of
from conformance.studies.study import Effort
from impls.ademamix.registry import IMPLEMENTATIONS
from impls.implementation import Unsupported

BY_NAME = {each.name.partition("/")[2]: each for each in IMPLEMENTATIONS}
QUICK = Effort(quick=True)


def test_error_is_nothing_where_nothing_is_rounded_and_the_way_made_is_the_unit() -> None:
    problem, expected = curves.problem_of((1, 10), 1.0, 1e-3, 0)
    assert problem.steps == 10
    assert [right.shape for right in expected] == [(curves.PARAMETERS,)] * 2
    (trace,) = curves.error_against_steps(BY_NAME["numpy"], QUICK)
    assert trace.x == (1, 3, 10, 30, 100)
    assert max(trace.y) < 2.0**-18
    assert min(trace.y) >= 2.0**-25


def test_what_cannot_be_followed_says_why() -> None:
    for name, reason in (("cpu-stochastic", "bfloat16, float16 only"), ("holocron", "declares no warm-ups")):
        with pytest.raises(Unsupported, match=reason):
            list(curves.error_against_steps(BY_NAME[name], QUICK))


def test_ours_in_8_bits_is_ahead_of_bitsandbytes_wherever_it_is_followed() -> None:
    if BY_NAME["bitsandbytes-8bit"].missing():
        return  # nobody to be ahead of
    for follow in (curves.error_against_spread, curves.error_against_scale, curves.error_against_steps):
        errors = {}
        for name in ("cpu-8bit", "bitsandbytes-8bit"):
            with process_state_of(BY_NAME[name].selector):
                (trace,) = follow(BY_NAME[name], QUICK)
            errors[name] = np.array(trace.y)
        ahead = errors["bitsandbytes-8bit"] / errors["cpu-8bit"]
        if follow is curves.error_against_steps:
            ahead = ahead[1:]  # nothing has been stored before the first step
        assert ahead.min() > 1, (follow.__name__, ahead)
        if follow is curves.error_against_spread:
            assert ahead[-1] > 3  # where neighbours differ most


def test_step_of_a_rank_is_timed_where_it_follows_the_law_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SHARDED_SIDE", 64), ("RANKS", (1, 2)), ("FIRST_STEPS", 1), ("TIMED_STEPS", 3)):
        monkeypatch.setattr(curves, name, value)
    ours = BY_NAME["torch-eager"]
    (trace,) = curves.step_against_ranks(ours, Effort())
    assert trace.x == (1, 2)
    assert all(0 < low <= y <= high for low, y, high in zip(trace.low or (), trace.y, trace.high or (), strict=True))
    wrong = replace(ours, settings={**ours.settings, "arguments": {"backend": "eager", "maximize": True}})
    with pytest.raises(AssertionError, match="1 ranks: sharded parameter"):
        list(curves.step_against_ranks(wrong, Effort()))
    for name in ("optax", "cuda-host", "numpy"):
        with pytest.raises(Unsupported):
            list(curves.step_against_ranks(BY_NAME[name], Effort()))
