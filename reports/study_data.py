"""What the charts of claims and curves show, as plain data."""

from __future__ import annotations

from conformance.records.schema import ClaimRecord, CurveRecord, Series, SystemRecord
from reports.evidence import Evidence
from reports.line_chart import LineChart, described
from reports.ranking import ranking
from reports.speed_data import labelled


def claim_chart(claim: ClaimRecord) -> LineChart | None:
    """What was measured of one claim; None where it has no series."""
    if not any(line.x for line in claim.series):
        return None
    where = ", ".join(part for part in (claim.device, "short form" if claim.quick else "", f"run {claim.run}") if part)
    title = f"{claim.id}: {claim.statement}"
    return LineChart(title, where, claim.axes, claim.series, described(f"{title} ({where})", claim.axes, claim.series))


def curve_charts(evidence: Evidence, system: SystemRecord) -> list[tuple[LineChart, list[CurveRecord]]]:
    """A chart per curve, device and dtype, with the traces that it draws."""
    rows = ranking(evidence, system.name)
    rank = {row.implementation.name: place for place, row in enumerate(rows)}
    groups: dict[tuple[str, str, str], list[CurveRecord]] = {}
    for trace in evidence.curves:
        if trace.system == system.name and trace.verdict == "measured" and trace.line.x:
            groups.setdefault((trace.name, trace.device, trace.dtype), []).append(trace)
    charts = []
    for (_, device, dtype), members in sorted(groups.items()):
        ordered = sorted(members, key=lambda t: (rank.get(t.implementation, len(rank)), t.implementation, t.run))
        several = len({trace.implementation for trace in ordered}) < len(ordered)
        lines = tuple(
            Series(
                labelled(trace.implementation, rows) + (f", run {trace.run}" if several else ""),
                trace.line.x,
                trace.line.y,
                trace.line.low,
                trace.line.high,
            )
            for trace in ordered
        )
        first = ordered[0]
        runs = ", ".join(sorted({trace.run for trace in ordered}))
        short = "short form" if any(trace.quick for trace in ordered) else ""
        where = ", ".join(part for part in (dtype, device, short, f"run {runs}") if part)
        title = f"{system.title}: {first.title}"
        charts.append((LineChart(title, where, first.axes, lines, described(f"{title}, {where}", first.axes, lines)), ordered))
    return charts
