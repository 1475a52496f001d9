"""The verdict of an implementation at each level: what decides it, how much was judged, and who else does the same."""

from __future__ import annotations

from dataclasses import replace

import pytest

from conformance.records.level_verdicts import Conclusion, LevelVerdict, level_verdicts, levels_of
from conformance.records.schema import Level, RequirementRecord, Verdict, VerdictRecord

LEVELS = {"ADM-01": Level.DEFINITION, "ADM-02": Level.DEFINITION, "ADM-50": Level.INTERFACE, "ADM-40": Level.READING}
UNSUPPORTED, NOT_RUN = Verdict.UNSUPPORTED, Verdict.NOT_RUN


def result(requirement: str, verdict: Verdict, case: str = "one", **fields: str) -> VerdictRecord:
    margin = {Verdict.PASS: 0.5, Verdict.INCONCLUSIVE: 0.5, Verdict.FAIL: 7.0}.get(verdict)
    return VerdictRecord(
        implementation="ademamix/theirs", system="ademamix", requirement=requirement, case=case, dtype=fields.pop("dtype", ""),
        device="cpu", verdict=verdict, margin=margin, **fields,
    )  # fmt: skip


def definition(*results: VerdictRecord) -> LevelVerdict:
    return level_verdicts(results, LEVELS)[0]


@pytest.mark.parametrize(
    ("verdicts", "conclusion"),
    [
        ([Verdict.PASS, Verdict.PASS], Conclusion.CONFORMS),
        ([Verdict.PASS, UNSUPPORTED], Conclusion.CONFORMS),
        ([Verdict.PASS, UNSUPPORTED, NOT_RUN], Conclusion.PARTLY_JUDGED),
        ([Verdict.PASS, Verdict.INCONCLUSIVE], Conclusion.CONFORMS),
        ([Verdict.PASS, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE], Conclusion.INCONCLUSIVE),
        ([Verdict.INCONCLUSIVE, UNSUPPORTED, UNSUPPORTED], Conclusion.INCONCLUSIVE),
        ([Verdict.PASS, Verdict.ERROR], Conclusion.ERRORS),
        ([Verdict.PASS, Verdict.ERROR, Verdict.FAIL], Conclusion.DIFFERS),
        ([UNSUPPORTED, NOT_RUN], Conclusion.NOT_JUDGED),
        ([], Conclusion.NOT_JUDGED),
    ],
    ids=lambda value: "",
)
def test_a_conclusion(verdicts: list[Verdict], conclusion: Conclusion) -> None:
    found = definition(*(result("ADM-01", verdict, f"case-{n}") for n, verdict in enumerate(verdicts)))
    assert found.conclusion is conclusion


def test_levels_are_judged_apart() -> None:
    found = level_verdicts([result("ADM-01", Verdict.PASS), result("ADM-50", Verdict.FAIL)], LEVELS)
    assert [each.level for each in found] == list(Level)
    assert [each.conclusion.value for each in found] == ["conforms", "differs", "not judged", "not judged"]


def test_a_reading_decides_nothing() -> None:
    reading = level_verdicts([result("ADM-40", Verdict.FAIL)], LEVELS)[-1]
    assert (reading.conclusion, reading.decides, reading.unexpected) == (Conclusion.DIFFERS, False, 0)


def test_a_case_counts_once_however_many_dtypes_it_has() -> None:
    found = definition(
        result("ADM-01", Verdict.PASS, dtype="float32"),
        result("ADM-01", UNSUPPORTED, dtype="float64"),
        result("ADM-01", UNSUPPORTED, dtype="bfloat16"),
    )
    assert (found.decided, found.cases, found.conclusion) == (1, 1, Conclusion.CONFORMS)


def test_what_the_authors_code_does_too_is_said_so_only_where_all_failures_are_of_that_kind() -> None:
    theirs = "epsilon-in-logarithm: 1e-8 is added inside the logarithms of the half-life, as the authors' code does."
    shared = result("ADM-01", Verdict.FAIL, resembles=theirs)
    assert definition(shared).words() == "differs (1 of 1 requirements), as the authors' code"
    assert "authors" not in definition(shared, result("ADM-02", Verdict.FAIL)).words()
    assert "authors" not in definition(replace(shared, verdict=Verdict.ERROR, margin=None)).words()


def test_known_failures_change_no_conclusion_and_do_not_count() -> None:
    found = definition(result("ADM-01", Verdict.FAIL, known="ADM-01"), result("ADM-02", Verdict.FAIL))
    assert (found.conclusion, found.known, found.unexpected) == (Conclusion.DIFFERS, 1, 1)
    assert found.words() == "differs (2 of 2 requirements), 1 of 2 failures known"


def test_the_share_that_was_judged_stands_beside_the_verdict() -> None:
    results = [result("ADM-01", UNSUPPORTED, f"case-{n}") for n in range(999)]
    assert definition(*results, result("ADM-01", Verdict.PASS)).words() == "partly judged; 1 % judged"


def test_a_requirement_without_a_level_counts_as_the_definition() -> None:
    old = RequirementRecord(system="ademamix", id="ADM-99", statement="", source="", catches="")
    assert levels_of([old]) == {"ADM-99": Level.DEFINITION}
    assert definition(result("ADM-98", Verdict.FAIL)).conclusion is Conclusion.DIFFERS
