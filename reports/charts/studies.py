"""The charts of claims and curves."""

from __future__ import annotations

from dataclasses import replace

from conformance.records.schema import ClaimRecord, CurveRecord, SystemRecord
from reports.charts.lines import LineChart
from reports.charts.speeds import labelled, where
from reports.evidence import Evidence
from reports.ranking import ranking


def claim_chart(claim: ClaimRecord) -> LineChart | None:
    """What was measured of one claim; None where it has no series."""
    if not any(line.x for line in claim.series):
        return None
    subtitle = where(claim.device, "short form" if claim.quick else "", f"run {claim.run}")
    return LineChart(f"{claim.id}: {claim.statement}", subtitle, claim.axes, claim.series)


def curve_charts(evidence: Evidence, system: SystemRecord) -> list[tuple[LineChart, list[CurveRecord]]]:
    """A chart per curve, device and dtype, with the traces that it draws."""
    found = ranking(evidence, system.name)
    rank = {row.implementation.name: place for place, row in enumerate(found)}
    groups: dict[tuple[str, str, str], list[CurveRecord]] = {}
    for trace in evidence.curves:
        if trace.system == system.name and trace.verdict == "measured" and trace.line.x:
            groups.setdefault((trace.name, trace.device, trace.dtype), []).append(trace)
    charts = []
    for (_, device, dtype), members in sorted(groups.items()):
        members.sort(key=lambda t: (rank.get(t.implementation, len(rank)), t.implementation, t.run))
        several = len({trace.implementation for trace in members}) < len(members)
        lines = tuple(
            replace(trace.line, label=labelled(trace.implementation, found) + (f", run {trace.run}" if several else ""))
            for trace in members
        )
        runs = ", ".join(sorted({trace.run for trace in members}))
        subtitle = where(dtype, device, "short form" if any(trace.quick for trace in members) else "", f"run {runs}")
        charts.append((LineChart(f"{system.title}: {members[0].title}", subtitle, members[0].axes, lines), members))
    return charts
