"""A right implementation that declares nothing is told the class that it computes in; a wrong one is told nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from conformance.engine.discovery import plug, select
from conformance.engine.other_classes import common_to, other_classes
from conformance.engine.runner import list_test_cases, run_test_case
from conformance.engine.selection import Options, checks_of
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

ATTENTION = """
import numpy as np

def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, *, scale=None, bias=0.0):
    scale = 1 / np.sqrt(q.shape[-1]) if scale is None else scale
    kind = q.dtype.type
    scores = ((q @ k.swapaxes(-1, -2)) * kind(scale)).astype(kind)
    scores = (scores + kind(bias)).astype(kind)
    weights = (1 / (1 + np.exp(-scores)) {sign} 0).astype(kind)
    return (weights @ v).astype(kind)
"""


def failures_of(implementation: Implementation, requirements: tuple[str, ...]) -> list[VerdictRecord]:
    cases = list_test_cases(implementation.system, [implementation], Options(quick=False, dtypes=("float16",)))
    results = [run_test_case(each) for each in cases if each.check.requirement in requirements]
    return [each for each in results if each.verdict is Verdict.FAIL]


def plugged(folder: Path, sign: str = "+") -> Implementation:
    file = folder / "mine.py"
    file.write_text(ATTENTION.format(sign=sign))
    return plug(f"{file}:attention")


def test_scores_that_are_stored_in_the_input_dtype_are_named(tmp_path: Path) -> None:
    implementation = plugged(tmp_path)
    failures = failures_of(implementation, ("SIG-01", "SIG-02", "SIG-03"))
    assert failures
    found = other_classes(implementation, failures)
    (fitting,) = [each for each in found if each.name == "materialised"]
    assert 0 < fitting.margin <= found[0].margin <= 1
    assert fitting.failures == len(failures)
    assert "score" in fitting.description


def test_no_class_excuses_a_wrong_answer(tmp_path: Path) -> None:
    implementation = plugged(tmp_path, sign="* 2 +")
    failures = failures_of(implementation, ("SIG-01",))
    assert failures
    assert other_classes(implementation, failures) == ()
    assert other_classes(implementation, []) == ()


def test_a_reader_of_the_published_grammar_is_told_its_profile() -> None:
    (reader,) = select(["rig/official"]).implementations
    strict = replace(reader, numerical_class="", name="rig/undeclared", features=None)
    cases = list_test_cases("rig", [strict], Options())
    failures = [result for each in list(cases)[:200] if (result := run_test_case(each)).verdict is Verdict.FAIL]
    assert [each.name for each in other_classes(strict, failures)] == [reader.numerical_class]


@pytest.mark.parametrize("dtypes", [("float16",), ("float16", "float32")])
def test_what_all_failures_share_is_found(dtypes: tuple[str, ...]) -> None:
    kept = [
        VerdictRecord(
            implementation="sigmoid_attention/x", system="sigmoid_attention", requirement="SIG-14", case=case.id, dtype=dtype,
            device="cpu", verdict=Verdict.FAIL, margin=9.0,
        )
        for dtype in dtypes
        for case in _cases("SIG-14")
    ]  # fmt: skip
    found = common_to(kept)
    assert found == (dtypes, frozenset({"causal"}))
    assert common_to([]) == ((), frozenset())


def _cases(requirement: str) -> tuple[Any, ...]:
    return next(check.cases for check in checks_of("sigmoid_attention") if check.requirement == requirement)
