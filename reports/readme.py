"""Write the first figures of a README from records, between two marks, so that none is typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from conformance.records.schema import SystemRecord
from reports import ReportError, markdown
from reports.charts.margins import margin_chart
from reports.document import Block, Code, Figure, Inline, Link, Number, Strong, Table, inline, joined, series
from reports.evidence import Evidence
from reports.numbers import margin, ratio
from reports.ranking import RankingRow, Status, fastest, main_workload, ranking, ranking_dtype, short_name
from reports.sections.summary import machines, period, verdict

BEGIN = "<!-- These figures are written by `make publish` from published records; changes made here are lost. -->"
END = "<!-- End of the figures. -->"
LEGEND = (
    "A margin is the largest error divided by the error that an honest implementation may have there: up to 1 passes, 0 is "
    "exact. The picture shows the first system: on its left, further left is more accurate; on its right, further right is "
    "faster."
)


def with_figures(text: str, evidence: Evidence, report: str) -> str:
    """The page with the text between the marks replaced. ``report`` is the report's folder, as the page links to it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReportError(f"found no place for the figures; expected a line {BEGIN!r} and, after it, {END!r}")
    return f"{before}{BEGIN}\n\n{figures(evidence, report)}\n\n{END}{after}"


def figures(evidence: Evidence, report: str) -> str:
    """Who conforms and by how much, who does not, who is fastest, and one picture."""
    page = (PurePosixPath(report) / "README.md").as_posix()
    rows = [_row(evidence, system) for system in evidence.systems if evidence.implementations_of(system.name)]
    headers = ["System", "Conform, with their worst margins", "Do not", "Fastest that conforms"]
    source = Link("a published report", page)
    lead = (Strong(verdict(evidence)), " From ", source, f"{period(evidence)}. ", machines(evidence))
    parts: list[Block] = [lead, Table(headers, rows), LEGEND]
    drawn = (margin_chart(evidence, system) for system in evidence.systems)
    first = next((data for data in drawn if data is not None), None)
    if first is not None:
        picture = (PurePosixPath(report) / "plots" / f"{first.system}.svg").as_posix()
        parts.append(Link(Figure(picture, first.description), page))
    return markdown.blocks(parts)


def _row(evidence: Evidence, system: SystemRecord) -> list[Inline]:
    rows = ranking(evidence, system.name)
    dtype = ranking_dtype(evidence, system.name)
    conforming = [row for row in rows if row.status is Status.CONFORMS]
    others: list[Inline] = []
    for status, words in ((Status.FAILS, ""), (Status.CRASHES, "crash: "), (Status.NOT_JUDGED, "not judged: ")):
        names = [Code(row.implementation.slug) for row in rows if row.status is status]
        others += [(words, joined(", ", names))] if names else []
    exact = all(row.ranked_margin == 0 for row in conforming)
    shown = [(Code(row.implementation.slug), "" if exact else f"\u00a0{margin(row.ranked_margin)}") for row in conforming]
    return [
        (Strong(system.title), f" ({dtype})" if dtype else ""),
        (joined(", ", shown), " (exact)" if exact else "") if shown else "none",
        joined("; ", others) or "-",
        _fastest(evidence, system, rows),
    ]


def _fastest(evidence: Evidence, system: SystemRecord, rows: Sequence[RankingRow]) -> Inline:
    main = main_workload(evidence, system.name)
    first, level = fastest(rows, main)
    if main is None or first is None or first.speed is None:
        return "not measured"
    name = Code(short_name(first.implementation))
    where = inline("on {}", Code(main.workload)), f" ({main.cache} cache)" if main.cache else ""
    same = ("; level with ", series(Code(short_name(m.implementation)) for m in level)) if level else ""
    if first.is_baseline:
        return name, ", the baseline, ", where, same
    shown = Number(ratio(first.speed, first.ratio_low, first.ratio_high))
    return inline("{}, {} {} {}", name, shown, Code(short_name(first.baseline)), where), same
