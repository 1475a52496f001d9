"""Every plot of the page: drawn once, under a file name that no record string can lead out of the folder."""

from __future__ import annotations

from dataclasses import dataclass, field

from conformance.records.schema import ClaimRecord, CurveRecord
from reports import bug_chart, line_chart, plots, roofline_chart
from reports.anchors import file_name
from reports.bug_chart import BugChart
from reports.chart_data import Chart, chart
from reports.document import Figure
from reports.evidence import Evidence
from reports.roofline_chart import RooflineChart
from reports.speed_data import roofline_charts, scaling_charts
from reports.study_data import claim_chart, curve_charts


@dataclass
class Gallery:
    """The plots by what they show; ``files`` holds their bytes by relative path."""

    files: dict[str, bytes] = field(default_factory=dict)
    margins: list[tuple[Chart, str]] = field(default_factory=list)
    bugs: dict[str, tuple[BugChart, str]] = field(default_factory=dict)
    roofs: dict[str, list[Figure]] = field(default_factory=dict)
    scaling: dict[str, list[Figure]] = field(default_factory=dict)
    claims: dict[tuple[str, str, str, str], Figure] = field(default_factory=dict)
    curves: dict[str, list[tuple[Figure, list[CurveRecord]]]] = field(default_factory=dict)

    def hang(self, name: str, drawing: bytes) -> str:
        """The path of a new plot, which begins with ``name``."""
        path, number = f"plots/{name}.svg", 2
        while path in self.files:
            path, number = f"plots/{name}-{number}.svg", number + 1
        self.files[path] = drawing
        return path

    def claim(self, claim: ClaimRecord) -> Figure | None:
        return self.claims.get(key_of(claim))


def key_of(claim: ClaimRecord) -> tuple[str, str, str, str]:
    return claim.system, claim.id, claim.device, claim.run


def gallery(evidence: Evidence) -> Gallery:
    """All plots of these records."""
    hung = Gallery()
    for system in evidence.systems:
        name = file_name(system.name) or "system"
        data = chart(evidence, system)
        if data is not None:
            hung.margins.append((data, hung.hang(name, plots.draw(data))))
        grid = bug_chart.bug_chart(evidence, system)
        if grid is not None:
            hung.bugs[system.name] = (grid, hung.hang(f"{name}-bugs", bug_chart.draw(grid)))
        for roof in roofline_charts(evidence, system):
            rooflines = isinstance(roof, RooflineChart)
            drawn = roofline_chart.draw_roofline(roof) if isinstance(roof, RooflineChart) else roofline_chart.draw_shares(roof)
            path = hung.hang(f"{name}-{'roofline' if rooflines else 'shares'}", drawn)
            hung.roofs.setdefault(system.name, []).append(Figure(path, roof.description))
        for scaling in scaling_charts(evidence, system):
            path = hung.hang(f"{name}-scaling", line_chart.draw(scaling))
            hung.scaling.setdefault(system.name, []).append(Figure(path, scaling.description))
        for curve, traces in curve_charts(evidence, system):
            path = hung.hang(f"{name}-{file_name(traces[0].name)}", line_chart.draw(curve))
            hung.curves.setdefault(system.name, []).append((Figure(path, curve.description), traces))
    for claim in evidence.claims:
        drawing = claim_chart(claim)
        if drawing is not None:
            path = hung.hang(f"claim-{file_name(claim.id)}", line_chart.draw(drawing))
            hung.claims[key_of(claim)] = Figure(path, drawing.description)
    return hung
