"""The table at the end of a run: a line for who was judged, and a line for each reason why others were not."""

from __future__ import annotations

from conformance.records.schema import Level, Verdict, VerdictRecord
from conformance.records.verdict_table import verdict_table

LEVELS = {"RIG-01": Level.DEFINITION, "RIG-32": Level.INTERFACE, "ADM-01": Level.DEFINITION}
AUTHORS = "log: 1e-8 is added inside the logarithm, as the authors' code does."


def result(name: str, requirement: str, verdict: Verdict, **fields: str) -> VerdictRecord:
    margin = {Verdict.PASS: 0.5, Verdict.FAIL: 7.0}.get(verdict)
    return VerdictRecord(
        implementation=name, system=name.partition("/")[0], requirement=requirement, case=fields.pop("case", "one"), dtype="",
        device="cpu", verdict=verdict, margin=margin, **fields,
    )  # fmt: skip


def test_one_line_each_by_system_and_who_was_not_judged_by_reason() -> None:
    missing = "needs jax, not installed here"
    results = [
        result("rag/official", "RAG-01", Verdict.PASS),
        result("rig/right", "RIG-01", Verdict.PASS),
        result("rig/right", "RIG-32", Verdict.PASS),
        *(result("rig/right", "RIG-32", Verdict.UNSUPPORTED, case=f"case-{n}") for n in range(4)),
        result("rig/wrong", "RIG-01", Verdict.FAIL),
        result("rig/wrong", "RIG-32", Verdict.ERROR),
        result("ademamix/b", "ADM-01", Verdict.NOT_RUN, message=missing),
        result("ademamix/c", "ADM-01", Verdict.NOT_RUN, message="needs a device"),
        result("ademamix/d", "ADM-01", Verdict.NOT_RUN, message=missing),
        result("ademamix/a", "ADM-01", Verdict.FAIL, resembles=AUTHORS),
        result("ademamix/k", "ADM-01", Verdict.FAIL, known="ADM-01"),
    ]
    assert verdict_table(results, LEVELS) == [
        "              definition              interface     robustness  reading  judged",
        "ademamix/a    differs 1/1 as authors  -             -           -        1 of 1",
        "ademamix/k    differs 1/1 known       -             -           -        1 of 1",
        "rig/right     conforms                partly, 20 %  -           -        2 of 6",
        "rig/wrong     differs 1/1             errors 1/1    -           -        2 of 2",
        "rag/official  conforms                -             -           -        1 of 1",
        f"not judged: ademamix/b, ademamix/d: {missing}",
        "not judged: ademamix/c: needs a device",
    ]


def test_nothing_gives_no_header() -> None:
    assert verdict_table([], LEVELS) == []
    assert verdict_table([result("rig/x", "RIG-01", Verdict.NOT_RUN, message="no")], LEVELS) == ["not judged: rig/x: no"]
