"""Families of requirements by implementation, one sign each; and each family opened into its requirements."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from conformance.records.level_verdicts import ENOUGH, is_as_authors
from conformance.records.schema import JUDGED, RED, Level, RequirementRecord, SystemRecord, Verdict, VerdictRecord
from reports.anchors import finding, implementation_page
from reports.document import Block, Code, Details, Emphasis, Inline, Link, Section, Strong, Table, inline, page
from reports.evidence import Evidence
from reports.numbers import count, listing, margin
from reports.ranking import RankingRow, of_requirement, ranking, worst_first

COLUMNS = 8
"""The most implementations side by side in one table."""


class Sign(StrEnum):
    """The worst trouble among some requirements; each has a colour of the style sheet."""

    DEFINITION = "✗"
    AUTHORS = "≈"
    INTERFACE = "▲"
    ROBUSTNESS = "◆"
    READING = "○"
    RIGHT = "✓"
    PARTLY = "◔"
    INCONCLUSIVE = "?"
    NOTHING = "–"


OF_LEVEL = {
    Level.DEFINITION: Sign.DEFINITION,
    Level.INTERFACE: Sign.INTERFACE,
    Level.ROBUSTNESS: Sign.ROBUSTNESS,
    Level.READING: Sign.READING,
}
MEANINGS = {
    Sign.RIGHT: "met",
    Sign.DEFINITION: "differs from the paper",
    Sign.AUTHORS: "differs as the authors' code does",
    Sign.INTERFACE: "breaks a promise of the host (interface)",
    Sign.ROBUSTNESS: "not robust",
    Sign.READING: "reads otherwise what the paper leaves open",
    Sign.PARTLY: "met, less than half judged",
    Sign.INCONCLUSIVE: "the bound cannot tell",
    Sign.NOTHING: "not judged",
}
CELLS = inline(
    "A number is the worst margin of all cases that passed (0: exact); {} precedes a margin above 1; {} means that it "
    "crashed; both lead to the finding. {} is a declared gap, {} not run, {} inconclusive (the bound cannot tell right from "
    "wrong), and a dash means that no case was tested. A dagger (†) marks requirements of which some cases were not decided.",
    *(Strong("FAIL"), Strong("ERROR"), Emphasis("unsup."), Emphasis("n.r."), Emphasis("incon.")),
)


def families(evidence: Evidence, system: str) -> dict[str, list[RequirementRecord]]:
    """The requirements of each family, in the order of their first ids."""
    found: dict[str, list[RequirementRecord]] = {}
    for requirement in evidence.requirements_of(system):
        found.setdefault(requirement.family, []).append(requirement)
    return found


def sign(requirements: Sequence[RequirementRecord], results: Sequence[VerdictRecord]) -> Sign:
    """What the results of one implementation say of these requirements: the worst level at which something is not met."""
    level_of = {each.id: each.level or Level.DEFINITION for each in requirements}
    own = [result for result in results if result.requirement in level_of]
    for level, shown in OF_LEVEL.items():
        red = [result for result in own if result.verdict in RED and level_of[result.requirement] is level]
        if red:
            return Sign.AUTHORS if level is Level.DEFINITION and all(map(is_as_authors, red)) else shown
    places = {(result.requirement, result.case) for result in own}
    decided = {(result.requirement, result.case) for result in own if result.verdict in JUDGED}
    if decided:
        return Sign.RIGHT if len(decided) >= ENOUGH * len(places) else Sign.PARTLY
    return Sign.INCONCLUSIVE if any(result.verdict is Verdict.INCONCLUSIVE for result in own) else Sign.NOTHING


def signs(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> list[Block]:
    """The matrix of those that were judged (ours folded beside other people's), its signs and each family in words."""
    grouped = families(evidence, system.name)
    judged = [row for row in rows if any(row.counts.get(verdict) for verdict in JUDGED)]
    if not judged or not grouped:
        return []
    others, ours = [row for row in judged if not row.is_ours], [row for row in judged if row.is_ours]
    tables: list[Block] = [_signs(evidence, own, grouped) for own in (others, ours) if own]
    if others and ours:
        tables[1] = Details(f"The same of our own {len(ours)}", [tables[1]])
    return [
        tables[0],
        f"{', '.join(f'{each} {words}' for each, words in MEANINGS.items())}.",
        *tables[1:],
        Details(
            "The families, and who does not meet which requirement", [_in_words(*each, judged) for each in grouped.items()]
        ),
    ]


def _signs(evidence: Evidence, rows: Sequence[RankingRow], grouped: dict[str, list[RequirementRecord]]) -> Table:
    body: list[list[Inline]] = []
    for row in rows:
        path = implementation_page(row.implementation.name)
        results = evidence.judgements_of(row.implementation.name)
        cells = [_cell(sign(members, results), members, path, row) for members in grouped.values()]
        body.append([Link(Code(row.implementation.slug), page(path)), *cells])
    return Table(["Implementation", *grouped], body, signs=True)


def _cell(shown: Sign, members: Sequence[RequirementRecord], path: str, row: RankingRow) -> Inline:
    """The sign, which leads to the first finding behind it."""
    broken = [each.id for each in members if each.id in row.broken and OF_LEVEL[each.level or Level.DEFINITION] is shown]
    broken = broken or [each.id for each in members if each.id in row.broken]
    return Link(shown.value, page(path, finding(row.implementation.name, broken[0]))) if broken else shown.value


def _in_words(family: str, members: Sequence[RequirementRecord], rows: Sequence[RankingRow]) -> Details:
    table = Table(
        ["Id", "Level", "Requirement", "Not met by"],
        [
            [
                each.id,
                each.level.value if each.level else "-",
                each.statement,
                listing(row.implementation.slug for row in rows if each.id in row.broken) or "-",
            ]
            for each in members
        ],
    )
    return Details(f"{family}: {count(len(members), 'requirement')}", [table])


def requirements(evidence: Evidence, system: SystemRecord) -> list[Block]:
    """Each family: its requirements in words, then the margins of every implementation."""
    grouped = families(evidence, system.name)
    if not grouped:
        return ["The records list no requirement of this system."]
    # In the order of the ranking, and without those that no case was tested on: the ranking gives their reasons.
    judged = [row for row in ranking(evidence, system.name) if any(row.counts.values())]
    return [CELLS, *(_family(evidence, name, members, judged) for name, members in grouped.items())]


def _family(evidence: Evidence, name: str, members: Sequence[RequirementRecord], rows: Sequence[RankingRow]) -> Section:
    words = Table(
        ["Id", "Level", "Requirement", "Source", "Catches"],
        [[r.id, r.level.value if r.level else "-", r.statement, r.source, r.catches] for r in members],
    )
    tables = [
        Table(
            ["Id", *(Code(row.implementation.slug) for row in rows[first : first + COLUMNS])],
            [
                [Strong(each.id), *(cell(evidence, row.implementation.name, each.id) for row in rows[first : first + COLUMNS])]
                for each in members
            ],
            "l" + "r" * len(rows[first : first + COLUMNS]),
        )
        for first in range(0, len(rows), COLUMNS)
    ]
    return Section(name, [words, Details("Margins of every implementation", tables)] if tables else [words])


def cell(evidence: Evidence, implementation: str, requirement: str) -> Inline:
    """The worst margin of one implementation on one requirement over cases, dtypes and devices, or why there is none."""
    results = of_requirement(evidence.judgements_of(implementation), requirement)
    verdicts = {result.verdict for result in results}
    partly = " †" if verdicts & {Verdict.UNSUPPORTED, Verdict.NOT_RUN, Verdict.INCONCLUSIVE} else ""
    measured = [result for result in results if result.verdict in (Verdict.PASS, Verdict.FAIL)]
    worst = margin(min(measured, key=worst_first).margin) if measured else ""
    if verdicts.intersection(RED):
        words = f"FAIL {worst}" if Verdict.FAIL in verdicts else "ERROR"
        return Strong(Link(words, page(implementation_page(implementation), finding(implementation, requirement)))), partly
    if Verdict.PASS in verdicts:
        return f"{worst}{partly}"
    undecided = {Verdict.INCONCLUSIVE: "incon.", Verdict.UNSUPPORTED: "unsup.", Verdict.NOT_RUN: "n.r."}
    return next((Emphasis(words) for verdict, words in undecided.items() if verdict in verdicts), "-")
