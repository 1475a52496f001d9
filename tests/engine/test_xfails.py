"""Known failures are matched by id and glob, stale ones are found, and a bad file is refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.engine import xfails
from conformance.records.schema import Verdict, VerdictRecord


def result(requirement: str, implementation: str = "ademamix/x", verdict: Verdict = Verdict.FAIL) -> VerdictRecord:
    return VerdictRecord(
        implementation=implementation,
        system="ademamix",
        requirement=requirement,
        case="small",
        dtype="float32",
        device="cpu",
        verdict=verdict,
    )


@pytest.fixture
def entries(tmp_path: Path) -> tuple[xfails.Entry, ...]:
    file = tmp_path / "known.txt"
    file.write_text("# why\nADM-04\nADM-1? ademamix/bits*  # their schedule\nADM-2* * other-case\n\n", encoding="utf-8")
    return xfails.read(file)


def test_globs(entries: tuple[xfails.Entry, ...]) -> None:
    def line_of(j: VerdictRecord) -> int | None:
        entry = xfails.expected(entries, j)
        return entry.line if entry else None

    assert line_of(result("ADM-04")) == 2
    assert line_of(result("ADM-11", "ademamix/bitsandbytes")) == 3
    assert line_of(result("ADM-11", "ademamix/optax")) is None
    assert line_of(result("ADM-20")) is None


def test_a_pass_is_never_an_expected_failure(entries: tuple[xfails.Entry, ...]) -> None:
    assert xfails.expected(entries, result("ADM-04", verdict=Verdict.PASS)) is None


def test_an_entry_that_matched_no_failure_is_stale(entries: tuple[xfails.Entry, ...]) -> None:
    found = xfails.stale(entries, [result("ADM-04"), result("ADM-12", "ademamix/bits", Verdict.PASS)])
    assert [entry.line for entry in found] == [3, 4]


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "known.txt"
    file.write_text("ADM-04\na b c d\n", encoding="utf-8")
    with pytest.raises(ValueError, match="line 2: found 4 words"):
        xfails.read(file)
    with pytest.raises(ValueError, match="cannot be read"):
        xfails.read(tmp_path / "absent.txt")
