"""Requirement by implementation: the worst margin over cases, dtypes and devices, or why there is none."""

from __future__ import annotations

import re
from collections.abc import Sequence

from conformance.records.schema import Verdict, VerdictRecord
from reports.anchors import finding, link
from reports.markup import code, fold, plain, table
from reports.merging import Evidence, Implementation, Requirement, System
from reports.numbers import listing, margin
from reports.ranking import of_requirement, ranking, worst_first

COLUMNS = 8
"""So many implementations stand side by side before the table is split."""

RED = re.compile(r"\*\*\[(FAIL|ERROR)")

LEGEND = (
    "A number is the worst margin of all cases that passed (0: exact); **FAIL** precedes a margin above 1; **ERROR** means "
    "that it crashed; both lead to the finding. *unsup.* is a declared gap, *n.r.* not run, and a dash means that no case was "
    "put. A dagger (†) marks rules of which some cases were unsupported or not run."
)


def matrix(evidence: Evidence) -> str:
    """The rules of each system in words, then how each implementation stands to them."""
    parts = [_system(evidence, system) for system in evidence.systems]
    return "\n\n".join([LEGEND, *parts]) if parts else "The records name no system, so there is no matrix."


def _system(evidence: Evidence, system: System) -> str:
    heading = f"### Requirements: {plain(system.title)}"
    requirements = evidence.requirements_of(system.name)
    if not requirements:
        return f"{heading}\n\nThe records list no requirement of this system."
    rules = [[plain(r.id), plain(r.statement), plain(r.source), plain(r.catches)] for r in requirements]
    words = fold(
        f"The {len(rules)} rules of {plain(system.title)} in words", table(["Id", "Requirement", "Source", "Catches"], rules)
    )
    parts = [heading, words]
    # In the order of the ranking, and without those that no case was put to: the league table gives their reasons.
    judged = [row.implementation for row in ranking(evidence, system.name) if any(row.counts.values())]
    if not judged:
        parts.append("No case of this system was put to any implementation.")
    parts += [_table(evidence, requirements, judged[i : i + COLUMNS]) for i in range(0, len(judged), COLUMNS)]
    return "\n\n".join(parts)


def _table(evidence: Evidence, requirements: Sequence[Requirement], columns: Sequence[Implementation]) -> str:
    headers = ["Id", *(code(implementation.slug) for implementation in columns)]
    rows = [
        [
            f"**{plain(requirement.id)}**",
            *(_cell(evidence, column.name, requirement.id) for column in columns),
        ]
        for requirement in requirements
    ]
    shown = table(headers, rows, "l" + "r" * len(columns))
    red = any(RED.match(cell) for row in rows for cell in row[1:])
    names = plain(listing(column.slug for column in columns))
    return shown if red else fold(f"{names}: no rule is broken; the margins", shown)


def _cell(evidence: Evidence, implementation: str, requirement: str) -> str:
    results: Sequence[VerdictRecord] = of_requirement(evidence.judgements_of(implementation), requirement)
    verdicts = {result.verdict for result in results}
    partly = " †" if verdicts & {Verdict.UNSUPPORTED, Verdict.NOT_RUN} else ""
    measured = [j for j in results if j.verdict in (Verdict.PASS, Verdict.FAIL)]
    worst = margin(min(measured, key=worst_first).margin) if measured else ""
    if Verdict.FAIL in verdicts:
        return f"**{link(f'FAIL {worst}', finding(implementation, requirement))}**{partly}"
    if Verdict.ERROR in verdicts:
        return f"**{link('ERROR', finding(implementation, requirement))}**{partly}"
    if Verdict.PASS in verdicts:
        return f"{worst}{partly}"
    if Verdict.UNSUPPORTED in verdicts:
        return "*unsup.*"
    return "*n.r.*" if verdicts else "-"
