"""Requirement by implementation: the worst margin over cases, dtypes and devices, or why there is none."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.records.schema import RED, ImplementationRecord, RequirementRecord, SystemRecord, Verdict
from reports.anchors import finding
from reports.document import Block, Code, Details, Emphasis, Inline, Link, Section, Strong, Table, inline
from reports.evidence import Evidence
from reports.numbers import listing, margin
from reports.ranking import of_requirement, ranking, worst_first

COLUMNS = 8
"""The most implementations side by side in one table."""

LEGEND = inline(
    "A number is the worst margin of all cases that passed (0: exact); {} precedes a margin above 1; {} means that it "
    "crashed; both lead to the finding. {} is a declared gap, {} not run, and a dash means that no case was tested. A dagger "
    "(†) marks requirements of which some cases were unsupported or not run.",
    *(Strong("FAIL"), Strong("ERROR"), Emphasis("unsup."), Emphasis("n.r.")),
)


def matrix(evidence: Evidence) -> list[Block]:
    """The requirements of each system in words, then the result of each implementation."""
    if not evidence.systems:
        return ["The records name no system, so there is no matrix."]
    return [LEGEND, *(Section(f"Requirements: {each.title}", _system(evidence, each)) for each in evidence.systems)]


def _system(evidence: Evidence, system: SystemRecord) -> list[Block]:
    requirements = evidence.requirements_of(system.name)
    if not requirements:
        return ["The records list no requirement of this system."]
    words = Table(["Id", "Requirement", "Source", "Catches"], [[r.id, r.statement, r.source, r.catches] for r in requirements])
    # In the order of the ranking, and without those that no case was tested on: the ranking gives their reasons.
    judged = [row.implementation for row in ranking(evidence, system.name) if any(row.counts.values())]
    tables = [_table(evidence, requirements, judged[i : i + COLUMNS]) for i in range(0, len(judged), COLUMNS)]
    return [
        Details(f"The {len(requirements)} requirements of {system.title} in words", [words]),
        *(tables or ["No implementation of this system was tested on any case."]),
    ]


def _table(evidence: Evidence, requirements: Sequence[RequirementRecord], columns: Sequence[ImplementationRecord]) -> Block:
    rows = [[Strong(each.id), *(_cell(evidence, column.name, each.id) for column in columns)] for each in requirements]
    shown = Table(["Id", *(Code(column.slug) for column in columns)], rows, "l" + "r" * len(columns))
    if any(result.verdict in RED for column in columns for result in evidence.judgements_of(column.name)):
        return shown
    return Details(f"{listing(column.slug for column in columns)}: no requirement is broken; the margins", [shown])


def _cell(evidence: Evidence, implementation: str, requirement: str) -> Inline:
    results = of_requirement(evidence.judgements_of(implementation), requirement)
    verdicts = {result.verdict for result in results}
    partly = " †" if verdicts & {Verdict.UNSUPPORTED, Verdict.NOT_RUN} else ""
    measured = [result for result in results if result.verdict in (Verdict.PASS, Verdict.FAIL)]
    worst = margin(min(measured, key=worst_first).margin) if measured else ""
    if verdicts.intersection(RED):
        words = f"FAIL {worst}" if Verdict.FAIL in verdicts else "ERROR"
        return Strong(Link(words, f"#{finding(implementation, requirement)}")), partly
    if Verdict.PASS in verdicts:
        return f"{worst}{partly}"
    if Verdict.INCONCLUSIVE in verdicts:
        return Emphasis("incon.")
    if Verdict.UNSUPPORTED in verdicts:
        return Emphasis("unsup.")
    return Emphasis("n.r.") if verdicts else "-"
