"""Write the first figures of a README from records, between two marks, so that none is typed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from conformance.records.schema import SystemRecord
from reports import ReportError, markdown
from reports.anchors import implementation_page
from reports.charts.margins import margin_chart
from reports.document import Block, Code, Figure, Inline, Link, Strong, Table, joined, sentences
from reports.evidence import Evidence
from reports.numbers import margin
from reports.ranking import (
    RIGHT,
    RankingRow,
    Status,
    current,
    fair,
    fastest,
    main_workload,
    ranking,
    ranking_dtype,
    short_name,
)
from reports.sections.choice import speed_words
from reports.sections.provenance import machines, period, verdict

BEGIN = "<!-- These figures are written by `make publish` from published records; changes made here are lost. -->"
END = "<!-- End of the figures. -->"
LEGEND = (
    "Other people's current releases, and ours beside them; a margin is the largest error divided by the error that an honest "
    "implementation may have there, so that up to 1 passes and 0 is exact."
)


def with_figures(text: str, evidence: Evidence, report: str) -> str:
    """The page with the text between the marks replaced. ``report`` is the report's folder, as the page links to it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReportError(f"found no place for the figures; expected a line {BEGIN!r} and, after it, {END!r}")
    return f"{before}{BEGIN}\n\n{figures(evidence, report)}\n\n{END}{after}"


def figures(evidence: Evidence, report: str) -> str:
    """Who computes each paper and who does not, who is fastest, and one picture."""
    evidence = fair(evidence)
    folder = PurePosixPath(report)
    body = [_row(evidence, system, folder) for system in evidence.systems if evidence.implementations_of(system.name)]
    source = Link("A published report", (folder / "README.md").as_posix())
    lead = (Strong(verdict(evidence)), " ", source, f"{period(evidence)} says why. ", machines(evidence))
    headers = ["System", "Computes the paper", "Does not", "Ours", "Fastest right one there"]
    parts: list[Block] = [lead, Table(headers, body), LEGEND]
    drawn = (margin_chart(evidence, system) for system in evidence.systems)
    first = next((data for data in drawn if data is not None), None)
    if first is not None:
        picture = (folder / "plots" / f"{first.system}.svg").as_posix()
        parts.append(Link(Figure(picture, sentences(first.description)), (folder / "README.md").as_posix()))
    return markdown.blocks(parts)


def _row(evidence: Evidence, system: SystemRecord, folder: PurePosixPath) -> list[Inline]:
    rows = current(ranking(evidence, system.name), evidence)
    others, ours = [row for row in rows if not row.is_ours], [row for row in rows if row.is_ours]

    def named(found: Iterable[RankingRow]) -> Inline:
        return joined(", ", [Link(Code(row.implementation.slug), _page(folder, row)) for row in found]) or "-"

    judged = [row for row in ours if row.status < Status.PARTLY]
    dtype = ranking_dtype(evidence, system.name)
    return [
        (Strong(system.title), f" ({dtype})" if dtype else ""),
        joined(", ", [(named([row]), _margin(row)) for row in others if row.status in RIGHT]) or "-",
        named(row for row in others if row.status in (Status.WRONG, Status.CRASHES)),
        f"{sum(row.status in RIGHT for row in judged)} of {len(judged)} do",
        _fastest(evidence, system, rows),
    ]


def _page(folder: PurePosixPath, row: RankingRow) -> str:
    return (folder / f"{implementation_page(row.implementation.name)}.md").as_posix()


def _margin(row: RankingRow) -> str:
    return f"\u00a0{margin(row.margin)}" if row.is_ranked and row.margin else ""


def _fastest(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> Inline:
    main = main_workload(evidence, system.name)
    first, _ = fastest(rows, main)
    if main is None or first is None:
        return "not measured"
    return Code(short_name(first.implementation)), speed_words(first, main)
