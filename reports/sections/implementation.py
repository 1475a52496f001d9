"""The page of one implementation: verdict by level, findings, margins, speed, history, and its badge."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from conformance.records.level_verdicts import LevelVerdict, level_verdicts, levels_of
from conformance.records.schema import JUDGED, Level, Verdict
from reports.anchors import file_name, finding
from reports.document import (
    Block,
    BulletList,
    Code,
    CodeBlock,
    Details,
    Inline,
    Link,
    Number,
    Section,
    Strong,
    Table,
    inline,
    series,
)
from reports.evidence import Evidence
from reports.numbers import margin, ratio, si
from reports.ranking import RankingRow, Status
from reports.report_index import WriteUp
from reports.sections.findings import entries
from reports.sections.matrix import cell, families, sign
from reports.sections.releases import history

DECIDES = {
    Level.DEFINITION: "what the paper defines: only this decides whether it computes the paper",
    Level.INTERFACE: "what the host promises its users",
    Level.ROBUSTNESS: "extreme values and sizes, repeated calls, clear refusals",
    Level.READING: "where the paper is silent; decides nothing",
}


def page_of(evidence: Evidence, row: RankingRow, written: Sequence[WriteUp]) -> tuple[Inline, list[Section]]:
    """What stands under the title, and the sections."""
    each = row.implementation
    version = f" {each.version}" if each.version else ""
    lead: Inline = (Strong(f"{row.words}{version and f' in{version}'}."), f" {each.summary}" if each.summary else "")
    if row.status is Status.NOT_JUDGED:
        return (lead, f" {row.reason}"), [Section("Reproduce", _reproduction(row))]
    texts = [text for text in written if any(text.tells(each.slug, id_) for id_ in row.broken)]
    told: list[Block] = []
    if texts:
        told = ["Ready to be sent to its authors:", BulletList([Link(text.title, text.path) for text in texts])]
    found = entries(evidence, row, written)
    sections = [
        Section("Verdict", [_levels(row), *_class(row)]),
        Section("Findings", [*told, *found] if found else ["No deviation was found."]),
        Section("Margins", [_margins(evidence, row), *_families(evidence, row)]),
        Section("Speed", _speed(evidence, row)),
    ]
    past = history(evidence, each)
    sections += [Section("History", past)] if past else []
    return lead, [*sections, Section("Reproduce", _reproduction(row)), Section("Badge", _badge(row))]


def _levels(row: RankingRow) -> Table:
    name = row.implementation.name

    def broken(verdict: LevelVerdict) -> Inline:
        return series([Link(id_, f"#{finding(name, id_)}") for id_ in verdict.broken]) or "-"

    body: list[list[Inline]] = [[Strong(v.level.value), v.words(), broken(v), DECIDES[v.level]] for v in row.levels]
    return Table(["Level", "Verdict", "Not met", "It says"], body)


def _class(row: RankingRow) -> list[Block]:
    each = row.implementation
    told = f": {each.class_description}" if each.class_description else ""
    return [inline("Judged by the bounds of the class {}{}.", Code(each.numerical_class or "strict"), told.rstrip("."))]


def _margins(evidence: Evidence, row: RankingRow) -> Table:
    """The largest margin at each level in each dtype."""
    results = evidence.judgements_of(row.implementation.name)
    levels = levels_of(evidence.requirements_of(row.implementation.system))
    body: list[list[Inline]] = []
    for dtype in sorted({result.dtype for result in results if result.verdict in JUDGED}):
        own = [result for result in results if result.dtype == dtype]
        cells: list[Inline] = [Code(dtype) if dtype else "all"]
        for verdict in level_verdicts(own, levels):
            measured = [
                r.margin
                for r in own
                if levels.get(r.requirement, Level.DEFINITION) is verdict.level
                and r.verdict in JUDGED
                and r.margin is not None
            ]
            cells.append(margin(max(measured, default=None)))
        body.append(
            [
                *cells,
                str(sum(r.verdict in JUDGED for r in own)),
                str(sum(r.verdict is Verdict.INCONCLUSIVE for r in own) or "-"),
            ]
        )
    headers = ["Dtype", *(level.value.capitalize() for level in Level), "Judged cases", "Inconclusive"]
    return Table(headers, body, "l" + "r" * (len(headers) - 1))


def _families(evidence: Evidence, row: RankingRow) -> list[Block]:
    name = row.implementation.name
    results = evidence.judgements_of(name)
    return [
        Details(
            f"{sign(members, results)} {family}",
            [
                Table(
                    ["Id", "Level", "Margin", "Requirement"],
                    [
                        [each.id, each.level.value if each.level else "-", cell(evidence, name, each.id), each.statement]
                        for each in members
                    ],
                    "llrl",
                )
            ],
        )
        for family, members in families(evidence, row.implementation.system).items()
    ]


def _speed(evidence: Evidence, row: RankingRow) -> list[Block]:
    own = [
        m for m in evidence.measurements if m.implementation == row.implementation.name and not (m.again and not m.is_baseline)
    ]
    body: list[list[Inline]] = [
        [
            Code(m.workload),
            m.dtype or "-",
            m.device or "-",
            m.cache or "-",
            "1 (baseline)" if m.is_baseline else "-" if m.speed is None else Number(ratio(m.speed, m.ratio_low, m.ratio_high)),
            si(m.median_s, "s") if m.median_s is not None and m.verdict == "measured" else "-",
            m.verdict if m.verdict != "measured" else m.reason or "-",
        ]
        for m in own
    ]
    headers = ["Workload", "Dtype", "Device", "Cache", "Ratio to the baseline", "Time", "Note"]
    return [Table(headers, body, "llllrrl")] if body else ["No speed of it was measured in these runs."]


def _reproduction(row: RankingRow) -> list[Block]:
    return [
        CodeBlock(
            shlex.join(
                ["python", "-m", "pytest", "conformance", "--impl", row.implementation.selector or row.implementation.name]
            )
        )
    ]


def _badge(row: RankingRow) -> list[Block]:
    each = row.implementation
    path = f"badges/{file_name(each.system)}/{file_name(each.slug)}.svg"
    return [Link("The picture", path), CodeBlock(f"[![{file_name(each.slug)}]({path})](index.html)", "markdown")]
