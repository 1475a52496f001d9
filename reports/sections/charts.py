"""The charts of margin and speed, each with the words for those who cannot see it."""

from __future__ import annotations

from reports.document import Block, Figure, Section

INTRODUCTION = (
    "Each implementation has a row. On the left is its worst margin: further left is more accurate, and right of the line is "
    "a fail. On the right is its speed, with its 95 % interval: further right is faster, and a row without a mark has no "
    "speed. A blue dot conforms, a red cross does not, a black square crashed. Margins are those of the dtype that the chart "
    "names; an implementation that fails in any dtype is shown at its worst margin of all."
)


def charts(drawn: list[tuple[str, Figure]]) -> list[Block]:
    """``drawn`` pairs the title of each system with its chart."""
    if not drawn:
        return ["No implementation was judged, so there is nothing to draw."]
    return [INTRODUCTION, *(Section(f"Chart: {title}", [figure]) for title, figure in drawn)]
