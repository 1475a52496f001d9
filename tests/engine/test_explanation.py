"""A failure says who, what, where, by how much, why and how to see it again; its words are kept by snapshot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syrupy.assertion import SnapshotAssertion

from conformance.engine.explanation import explain
from conformance.engine.interactions import rows_of
from conformance.engine.runner import TestCase, run_test_case
from conformance.engine.selection import checks_of
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

FAILURE = VerdictRecord(
    implementation="ademamix/theirs",
    system="ademamix",
    requirement="ADM-04",
    case="two-tensors",
    dtype="float32",
    device="cuda",
    verdict=Verdict.FAIL,
    margin=12345.678,
    quantity="theta after step 3",
    worst="(1, 2)",
    got="0.25",
    expected="0.125",
    bound="1.013e-05",
    resembles="some-bug: The sentence of a planted bug.",
    reproduce="pytest 'conformance/ademamix/test_ademamix.py::test_conforms[...]' --impl 'ademamix/theirs' --device cuda",
)


def _without_statement(text: str) -> str:
    # The wording of the requirement may change without failing this test.
    head, *rest = text.split("\n")
    return "\n".join([head.partition(":")[0], *(line for line in rest if not line.lstrip().startswith("catches"))])


def test_a_numeric_failure(snapshot: SnapshotAssertion) -> None:
    assert _without_statement(explain(FAILURE)) == snapshot


def test_an_error(snapshot: SnapshotAssertion) -> None:
    error = replace(FAILURE, verdict=Verdict.ERROR, margin=None, message="kernel.py:12: RuntimeError: out of memory")
    assert _without_statement(explain(error)) == snapshot


def test_the_statement_and_its_source_lead(snapshot: SnapshotAssertion) -> None:
    text = explain(FAILURE)
    assert text.startswith("FAIL ADM-04: ")
    assert "arXiv:2409.03137" in text.split("\n")[0]
    assert "  catches " in text


def test_what_the_judge_itself_produces(snapshot: SnapshotAssertion) -> None:
    implementation = Implementation(
        name="rig/strips_values.parse",
        system="rig",
        target=f"{Path(__file__).parent / 'strips_values.py'}:parse",
        protocol="function",
        summary="",
        dtypes=(),
        spec="rig=strips_values.py:parse",
    )
    failures = [
        result
        for check in checks_of("rig")
        for case in check.cases
        if (result := run_test_case(TestCase(implementation, check, case, "", "cpu"))).verdict is Verdict.FAIL
        and "strips" in result.resembles
    ]
    assert _without_statement(explain(failures[0])) == snapshot


def test_the_values_of_a_row_of_a_covering_array_are_told() -> None:
    name, row = next(iter(rows_of("ademamix").items()))
    assert f"  its values      {row}\n" in explain(replace(FAILURE, case=name))
