"""Draw every chart of the page once, under a safe file name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from matplotlib import figure

from conformance.records.schema import ClaimRecord, CurveRecord
from reports.anchors import file_name
from reports.charts.margins import margin_chart
from reports.charts.speeds import roofline_charts, scaling_charts
from reports.charts.studies import claim_chart, curve_charts
from reports.charts.svg import as_svg
from reports.document import Figure, sentences
from reports.evidence import Evidence


class Chart(Protocol):
    @property
    def title(self) -> str: ...

    @property
    def description(self) -> str:
        """The chart in words, for those who cannot see it."""

    def figure(self) -> figure.Figure:
        """The chart as it is drawn."""


@dataclass
class Gallery:
    """The charts by what they show; ``files`` holds their bytes by relative path."""

    files: dict[str, bytes] = field(default_factory=dict)
    margins: dict[str, Figure] = field(default_factory=dict)
    roofs: dict[str, list[Figure]] = field(default_factory=dict)
    scaling: dict[str, list[Figure]] = field(default_factory=dict)
    claims: dict[tuple[str, str, str, str], Figure] = field(default_factory=dict)
    curves: dict[str, list[tuple[Figure, list[CurveRecord]]]] = field(default_factory=dict)

    def add(self, name: str, chart: Chart) -> Figure:
        """Draw a chart into a new file, whose name begins with ``name``."""
        path, number = f"plots/{name}.svg", 2
        while path in self.files:
            path, number = f"plots/{name}-{number}.svg", number + 1
        self.files[path] = as_svg(chart.figure, chart.title)
        return Figure(path, sentences(chart.description))

    def claim(self, claim: ClaimRecord) -> Figure | None:
        return self.claims.get(_key(claim))


def _key(claim: ClaimRecord) -> tuple[str, str, str, str]:
    return claim.system, claim.id, claim.device, claim.run


def gallery(evidence: Evidence) -> Gallery:
    """All charts of these records."""
    found = Gallery()
    for system in evidence.systems:
        name = file_name(system.name) or "system"
        margins = margin_chart(evidence, system)
        if margins is not None:
            found.margins[system.name] = found.add(name, margins)
        found.roofs[system.name] = [found.add(f"{name}-roofline", roof) for roof in roofline_charts(evidence, system)]
        found.scaling[system.name] = [found.add(f"{name}-scaling", chart) for chart in scaling_charts(evidence, system)]
        found.curves[system.name] = [
            (found.add(f"{name}-{file_name(traces[0].name)}", curve), traces)
            for curve, traces in curve_charts(evidence, system)
        ]
    for claim in evidence.claims:
        chart = claim_chart(claim)
        if chart is not None:
            found.claims[_key(claim)] = found.add(f"claim-{file_name(claim.id)}", chart)
    return found
