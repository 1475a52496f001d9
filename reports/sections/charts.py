"""The charts, each with the words for those who cannot see it."""

from __future__ import annotations

from reports.chart_data import Chart
from reports.markup import plain

INTRODUCTION = (
    "Left is comfortable, right of the line is a fail; up is faster. Implementations without a speed stand in rows below. "
    "A blue dot conforms, a red cross does not, a hollow square crashed."
)


def charts(drawn: list[tuple[Chart, str]]) -> str:
    """``drawn`` pairs each chart with the path of its file, relative to the page."""
    if not drawn:
        return "No implementation was judged, so there is nothing to draw."
    parts = [INTRODUCTION]
    for chart, path in drawn:
        parts.append(f"### Chart: {plain(chart.title)}\n\n![{plain(chart.description)}]({path})")
    return "\n\n".join(parts)
