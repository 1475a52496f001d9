"""The charts of margin and speed, each with the words for those who cannot see it."""

from __future__ import annotations

from reports.chart_data import Chart
from reports.document import Block, Figure, Section

INTRODUCTION = (
    "Each implementation by its worst margin (left is more accurate; right of the line is a fail) and its speed (up is "
    "faster; a bar is the 95 % interval where it is longer than the mark). Those without a speed are in rows below. A blue "
    "dot conforms, a red cross does not, a black square crashed. Margins are those of the dtype that the chart names; one "
    "that fails anywhere is at its worst margin of all."
)


def charts(drawn: list[tuple[Chart, str]]) -> list[Block]:
    """``drawn`` pairs each chart with the path of its file, relative to the page."""
    if not drawn:
        return ["No implementation was judged, so there is nothing to draw."]
    return [INTRODUCTION, *(Section(f"Chart: {chart.title}", [Figure(path, chart.description)]) for chart, path in drawn)]
