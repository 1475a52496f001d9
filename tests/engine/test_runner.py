"""A pass within a bound as large as the change itself is inconclusive."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.engine import runner
from conformance.engine.check import Check
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.text_comparison import Plain
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

PARSER = Implementation(name="rig/python", system="rig", target="impls.rig:parse", protocol="function", summary="", dtypes=())


def judged(monkeypatch: pytest.MonkeyPatch, *comparisons: Comparison) -> VerdictRecord:
    """The verdict on a check that yields these comparisons."""

    def check(subject: object, case: object, dtype: str) -> Iterator[Comparison]:
        yield from comparisons

    monkeypatch.setattr(runner, "connect", lambda implementation, device: None)
    monkeypatch.setattr(runner, "resembling", lambda *arguments: ())
    return runner.run_test_case(runner.TestCase(PARSER, Check("RIG-01", check, (Plain(id="a"),)), Plain(id="a"), "", "cpu"))


def test_a_pass_within_a_bound_as_large_as_the_change_is_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    sharp, dull = compare("sharp", 1.0, 1.0, 0.1), compare("dull", 1.5, 1.0, 2.0)
    result = judged(monkeypatch, sharp, dull, equal("exact", 1, 1))
    assert (result.verdict, result.resolution, result.margin) == (Verdict.INCONCLUSIVE, 2.0, 0.25)
    assert result.message == "dull: the bound is up to 2 times the change, so no change would pass"
    assert judged(monkeypatch, sharp).verdict is Verdict.PASS
    assert judged(monkeypatch, compare("still", 1.0, 1.0, 2.0, effect=0.0)).verdict is Verdict.PASS


def test_a_failure_is_one_however_large_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(monkeypatch, compare("dull", 9.0, 1.0, 2.0))
    assert (result.verdict, result.resolution) == (Verdict.FAIL, 2.0)


@pytest.mark.parametrize(
    ("verdict", "resolution", "holds"),
    [
        ("pass", None, True),
        ("pass", 0.5, True),
        ("pass", 1.0, False),
        ("inconclusive", 1.0, True),
        ("inconclusive", 0.5, False),
    ],
)
def test_records_hold_a_verdict_that_follows_from_the_resolution(verdict: str, resolution: float | None, holds: bool) -> None:
    kept = VerdictRecord(
        implementation="rig/x", system="rig", requirement="RIG-01", case="a", dtype="", device="cpu",
        verdict=Verdict(verdict), margin=0.5, resolution=resolution,
    )  # fmt: skip
    assert (not kept.contradiction()) == holds
    if holds:
        assert VerdictRecord.from_json(kept.to_json()) == kept
