"""Lines over two axes: told apart by colour, mark and dash at once, with their intervals, legible on a telephone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from matplotlib.figure import Figure

from conformance.records.schema import Axes, Series
from reports.axes import Axis, axis
from reports.canvas import (
    CARD,
    FAINT,
    INK,
    PASS_GROUND,
    QUIET,
    RULE,
    SERIES,
    Canvas,
    as_svg,
    drawable,
    own_settings,
    text_width,
)
from reports.numbers import count, listing, significant

WIDTH = 540.0
"""Narrow, so that a telephone shows it whole and its letters stay readable."""
LEFT, RIGHT, BOTTOM, HEIGHT = 78.0, 20.0, 56.0, 250.0
TITLE, TEXT, TICK = 14.0, 11.0, 10.5
LEGEND_ROW, LONGEST = 18.0, 34
MOST_BARS = 24
"""Of points, up to which each has its own mark and interval; beyond it the intervals are a band."""
TICKS_APART, MOST_SPELLED = 36.0, 1_000_000
MARKS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ((), (5, 2), (2, 1.5), (6, 2, 1.5, 2))


@dataclass(frozen=True)
class LineChart:
    title: str
    subtitle: str
    axes: Axes
    lines: tuple[Series, ...]
    description: str
    """The chart in words."""
    level: float | None = None
    """A height that the lines are read against."""
    level_label: str = ""


def described(what: str, axes: Axes, lines: Sequence[Series]) -> str:
    """A line chart in words: what each line begins and ends with."""
    ends = []
    for line in lines:
        if line.x:
            first, last = min(zip(line.x, line.y, strict=True)), max(zip(line.x, line.y, strict=True))
            along = f"{significant(first[1])} at {_size(first[0])}"
            ends.append(
                f"{line.label} {along}"
                if len(line.x) == 1
                else f"{line.label} from {along} to {significant(last[1])} at {_size(last[0])}"
            )
    return f"{what}: {axes.y} against {axes.x}, {count(len(ends), 'line')}. {listing(ends)}."


def _size(value: float) -> str:
    return f"{value:.0f}" if value == round(value) and abs(value) < MOST_SPELLED else significant(value)


def draw(chart: LineChart) -> bytes:
    """The chart as SVG."""
    with own_settings():
        return as_svg(_figure(chart), chart.title)


def style(place: int) -> dict[str, Any]:
    """Colour, mark and dash of the line at that place; the first 28 all differ."""
    return {
        "color": SERIES[place % len(SERIES)],
        "marker": MARKS[place % len(MARKS)],
        "dashes": DASHES[(place // len(MARKS)) % len(DASHES)],
    }


def _figure(chart: LineChart) -> Figure:
    labels = [drawable(line.label, LONGEST) for line in chart.lines]
    rows = legend_rows(labels)
    title = wrapped(drawable(chart.title, 160), WIDTH - 40, TITLE, bold=True)[:3]
    subtitle = wrapped(drawable(chart.subtitle, 220), WIDTH - 40, TICK)[:3] if chart.subtitle else []
    top = 20 + 18 * len(title) + 15 * len(subtitle) + LEGEND_ROW * len(rows) + 16
    height = BOTTOM + HEIGHT + top
    canvas = Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    y = heading(canvas, height, title, subtitle)
    legend(canvas, y, labels, rows)
    ys = [value for line in chart.lines for value in (*line.y, *line.low, *line.high)]
    ys += [chart.level] if chart.level is not None else []
    across = axis([x for line in chart.lines for x in line.x], "x" in chart.axes.log, LEFT, WIDTH - RIGHT)
    up = axis(ys, "y" in chart.axes.log, BOTTOM, BOTTOM + HEIGHT)
    frame(canvas, across, up, chart.axes, _own_ticks(chart.lines, across))
    if chart.level is not None:
        at = up.at(chart.level)
        canvas.line((LEFT, WIDTH - RIGHT), (at, at), RULE, 1.3, zorder=2, dashes=(5, 3))
        canvas.text(WIDTH - RIGHT - 4, at + 4, drawable(chart.level_label), TICK, ha="right", color=QUIET)
    for place, line in enumerate(chart.lines):
        _line(canvas, across, up, line, style(place))
    return canvas.figure


def heading(canvas: Canvas, height: float, title: Sequence[str], subtitle: Sequence[str]) -> float:
    """Title and subtitle from the top; the height at which the next row's text stands."""
    y = height - 28.0
    for row in title:
        canvas.text(20, y, row, TITLE, bold=True)
        y -= 18
    y += 1
    for row in subtitle:
        canvas.text(20, y, row, TICK, color=QUIET)
        y -= 15
    return y - 6


def legend_rows(labels: Sequence[str], width: float = WIDTH - 40) -> list[list[int]]:
    """Which labels stand in which row of the legend."""
    rows: list[list[int]] = []
    used = math.inf
    for place, text in enumerate(labels):
        needed = 22 + text_width(text, TEXT) + 16
        if used + needed > width:
            rows.append([])
            used = 0.0
        rows[-1].append(place)
        used += needed
    return rows


def legend(canvas: Canvas, y: float, labels: Sequence[str], rows: Sequence[Sequence[int]], lined: bool = True) -> None:
    for row in rows:
        x = 20.0
        for place in row:
            look = style(place)
            if lined:
                canvas.line((x, x + 18), (y + 4, y + 4), look["color"], 1.6, dashes=look["dashes"] or (None, None), zorder=4)
            mark(canvas, [x + 9], [y + 4], look)
            canvas.text(x + 24, y, labels[place], TEXT, color=INK)
            x += 22 + text_width(labels[place], TEXT) + 16
        y -= LEGEND_ROW


def frame(canvas: Canvas, across: Axis, up: Axis, axes: Axes, ticks: list[tuple[float, str]] | None = None) -> None:
    """The ground, the ticks (``ticks`` of the horizontal axis, where they are to be others) and the names of the axes."""
    left, right, bottom, top = across.start, across.stop, up.start, up.stop
    canvas.area(left, bottom, right, top, PASS_GROUND)
    for x, text in ticks if ticks is not None else across.ticks(46):
        canvas.line((x, x), (bottom, top), FAINT, 1.0, zorder=1)
        canvas.text(x, bottom - 16, text, TICK, ha="center", color=QUIET)
    for y, text in up.ticks(30):
        canvas.line((left, right), (y, y), FAINT, 1.0, zorder=1)
        canvas.text(left - 7, y, text, TICK, ha="right", va="center", color=QUIET)
    canvas.line((left, right), (bottom, bottom), RULE, 1.0, zorder=2)
    canvas.text((left + right) / 2, bottom - 38, drawable(axes.x, 70), TEXT, ha="center")
    upright = drawable(axes.y, 56)
    size = TEXT * min(1.0, (top - bottom) / max(text_width(upright, TEXT), 1.0))
    canvas.text(20, (bottom + top) / 2, upright, size, rotation=90, ha="center", va="center")


def _own_ticks(lines: Sequence[Series], across: Axis) -> list[tuple[float, str]] | None:
    """The measured sizes themselves (512, 1024, ...) where they are few, whole and stand apart; None otherwise."""
    values = sorted({x for line in lines for x in line.x})
    if not across.log or not all(x == round(x) and 1 <= x < MOST_SPELLED for x in values):
        return None
    at = [across.at(x) for x in values]
    return [(x, f"{value:.0f}") for x, value in zip(at, values, strict=True)] if _apart(at) else None


def _apart(places: Sequence[float]) -> bool:
    return len(places) > 2 and all(right - left >= TICKS_APART for left, right in pairwise(places))


def mark(canvas: Canvas, xs: Sequence[float], ys: Sequence[float], look: dict[str, Any], size: float = 6.5) -> None:
    canvas.axes.plot(
        list(xs),
        list(ys),
        linestyle="none",
        marker=look["marker"],
        markersize=size,
        markerfacecolor=look["color"],
        markeredgecolor=CARD,
        markeredgewidth=0.7,
        zorder=5,
    )


def _line(canvas: Canvas, across: Axis, up: Axis, line: Series, look: dict[str, Any]) -> None:
    order = sorted(range(len(line.x)), key=lambda place: (line.x[place], place))
    points = [(across.at(line.x[place]), up.at(line.y[place])) for place in order]
    xs, ys = [x for x, _ in points], [y for _, y in points]
    spans = [(up.at(line.low[place]), up.at(line.high[place])) for place in order] if line.low and line.high else []
    if len(spans) > MOST_BARS:
        canvas.axes.fill(
            [*xs, *reversed(xs)],
            [*(low for low, _ in spans), *(high for _, high in reversed(spans))],
            facecolor=look["color"],
            edgecolor="none",
            alpha=0.16,
            zorder=2.5,
        )
    for x, (low, high) in zip(xs, spans, strict=True) if len(spans) <= MOST_BARS and spans else ():
        if high - low > 7:
            canvas.line((x, x), (low, high), look["color"], 1.2, zorder=3)
    if len(points) > 1:
        extra = {"dashes": look["dashes"]} if look["dashes"] else {}
        canvas.axes.plot(xs, ys, color=look["color"], linewidth=1.7, zorder=4, solid_joinstyle="round", **extra)
    # Beyond so many points the marks would hide the line; the first and the last stay.
    step = max(1, math.ceil(len(points) / MOST_BARS))
    chosen = [place for place in range(len(points)) if place % step == 0 or place == len(points) - 1]
    mark(canvas, [xs[place] for place in chosen], [ys[place] for place in chosen], look)


def wrapped(text: str, width: float, size: float, bold: bool = False) -> list[str]:
    """The text in rows no wider than ``width``, broken at blanks."""
    rows: list[str] = []
    for word in text.split(" "):
        longer = f"{rows[-1]} {word}" if rows else word
        if rows and text_width(longer, size, bold) <= width:
            rows[-1] = longer
        else:
            rows.append(word)
    return rows
