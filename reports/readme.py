"""The first figures of a README come from records, between two marks, and are never typed by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePosixPath

from reports.chart_data import chart
from reports.markup import code, plain, table
from reports.merging import Evidence, System
from reports.numbers import listing, margin, ratio
from reports.ranking import RankingRow, Status, fastest, main_workload, ranking, ranking_dtype
from reports.sections.summary import machines, period, verdict

BEGIN = "<!-- These figures are written by `make publish` from published records; changes made here are lost. -->"
END = "<!-- End of the figures. -->"


class ReadmeError(ValueError):
    """A page that cannot take the figures; the message says what is missing."""


def with_figures(text: str, evidence: Evidence, report: str) -> str:
    """The page with what stands between the marks replaced. ``report`` is the report's folder, as the page links to it."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ReadmeError(f"found no place for the figures; expected a line {BEGIN!r} and, after it, {END!r}")
    return f"{before}{BEGIN}\n\n{figures(evidence, report)}\n\n{END}{after}"


def figures(evidence: Evidence, report: str) -> str:
    """Who conforms and by how much, who does not, who is fastest, and one picture."""
    page = (PurePosixPath(report) / "README.md").as_posix()
    rows = [_row(evidence, system, page) for system in evidence.systems if evidence.implementations_of(system.name)]
    headers = ["System", "Conform, with their worst margins", "Do not", "Fastest that conforms"]
    parts = [
        f"{verdict(evidence)} From [a published report]({page}){period(evidence)}. {machines(evidence)}",
        table(headers, rows),
        "A margin is the largest error divided by what an honest implementation may be off by there: up to 1 passes, 0 is "
        "exact. The picture shows the first system: left is more accurate, up is faster, right of the line fails.",
    ]
    for system in evidence.systems:
        data = chart(evidence, system)
        if data is not None:
            picture = (PurePosixPath(report) / "plots" / f"{system.name}.svg").as_posix()
            parts.append(f"[![{plain(data.description)}]({picture})]({page})")
            break
    return "\n\n".join(parts)


def _row(evidence: Evidence, system: System, page: str) -> list[str]:
    rows = ranking(evidence, system.name)
    dtype = ranking_dtype(evidence, system.name)
    conforming = [row for row in rows if row.status is Status.CONFORMS]
    told = []
    for status, words in ((Status.FAILS, ""), (Status.CRASHES, "crash: "), (Status.NOT_JUDGED, "not judged: ")):
        names = ", ".join(code(row.implementation.slug) for row in rows if row.status is status)
        told += [f"{words}{names}"] if names else []
    exact = all(row.ranked_margin == 0 for row in conforming)
    shown = {row.implementation.slug: "" if exact else f"&nbsp;{margin(row.ranked_margin)}" for row in conforming}
    held = ", ".join(f"{code(name)}{worst}" for name, worst in shown.items()) + (" (exact)" if exact and conforming else "")
    return [
        f"**{plain(system.title)}**" + (f" ({plain(dtype)})" if dtype else ""),
        held or "none",
        "; ".join(told) or "-",
        _fastest(evidence, system, rows),
    ]


def _fastest(evidence: Evidence, system: System, rows: Sequence[RankingRow]) -> str:
    main = main_workload(evidence, system.name)
    first, level = fastest(rows, main)
    if main is None or first is None or first.speed is None:
        return "not measured"
    name = code(first.implementation.partition("/")[2])
    where = f"on {code(main.workload)}" + (f" ({plain(main.cache)} cache)" if main.cache else "")
    same = f"; level with {listing(code(m.implementation.partition('/')[2]) for m in level)}" if level else ""
    if first.is_baseline:
        return f"{name}, the baseline, {where}{same}"
    shown = ratio(first.speed, first.ratio_low, first.ratio_high)
    return f"{name}, {shown} {code(first.baseline.partition('/')[2])} {where}{same}"
