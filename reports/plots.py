"""A chart of margin and speed as SVG: opaque, colour-blind safe, told apart by shape as well, the same bytes every time."""

from __future__ import annotations

import math

from matplotlib.figure import Figure

from reports.canvas import (
    BLUE,
    CARD,
    COLOURS,
    FAIL_GROUND,
    FAINT,
    LONGEST_LABEL,
    PASS_GROUND,
    QUIET,
    RULE,
    VERMILLION,
    Canvas,
    as_svg,
    drawable,
    own_settings,
    text_width,
)
from reports.chart_data import Chart, Point
from reports.line_chart import wrapped
from reports.placing import Anchor, Box, place
from reports.ranking import Status
from reports.scales import MarginScale, RatioScale, margin_scale, ratio_scale

WORDS = {Status.CONFORMS: "conforms", Status.FAILS: "does not conform", Status.CRASHES: "crashes"}

# In points; the figure's coordinates are points as well.
WIDTH = 560.0
"""Narrow, so that the letters stay readable on a telephone."""
LABEL_SIZE, TICK_SIZE, TITLE_SIZE = 11.0, 10.5, 14.0
LEFT, RIGHT, BOTTOM = 62.0, 20.0, 62.0
TITLE_ROW, TEXT_ROW, ABOVE, BELOW = 18.0, 15.0, 24.0, 26.0
"""Above the title, and below the legend, where ``passes`` and ``fails`` stand."""
MAIN_HEIGHT, ROW_HEIGHT, RAIL_PAD = 300.0, 20.0, 9.0
MARK_SIZE = 12.0
"""Intervals shorter than this hide behind their mark and are not drawn."""
GLASS = {"facecolor": CARD, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
"""Keeps a label legible where a line runs beneath it (a rim around each glyph would triple the file)."""


def draw(chart: Chart) -> bytes:
    """The chart as SVG."""
    with own_settings():
        return as_svg(_figure(chart), chart.title)


def _figure(chart: Chart) -> Figure:
    timed = [point for point in chart.points if point.speed is not None and _drawn(point.speed)]
    untimed = [point for point in chart.points if point not in timed]
    rail_height = len(untimed) * ROW_HEIGHT + 2 * RAIL_PAD if untimed else 0.0
    gap = 10.0 if timed and untimed else 0.0
    note = []
    if chart.left_out:
        names = ", ".join(drawable(name) for name in chart.left_out)
        note = wrapped(f"crashed in every case, so without a margin: {names}", WIDTH - 40, TICK_SIZE)[:4]
    floor = BOTTOM + TEXT_ROW * len(note)
    subtitle = wrapped(drawable(chart.subtitle, 220), WIDTH - 40, TICK_SIZE)[:3]
    top = ABOVE + TITLE_ROW + TEXT_ROW * len(subtitle) + TITLE_ROW + BELOW
    height = floor + rail_height + gap + (MAIN_HEIGHT if timed else 0.0) + top
    canvas = Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    _title(canvas, chart, subtitle, height)
    margins = margin_scale([point.margin for point in chart.points], LEFT, WIDTH - RIGHT)
    if untimed:
        _rows(canvas, margins, untimed, floor, floor + rail_height, alone=not timed)
    if timed:
        _main(canvas, margins, timed, floor + rail_height + gap, height - top, drawable(chart.speed_label, 2 * LONGEST_LABEL))
    _margin_axis(canvas, margins, floor, height - top)
    for row, text in enumerate(note):
        canvas.text(20, 14 + TEXT_ROW * (len(note) - 1 - row), text, TICK_SIZE, color=QUIET)
    return canvas.figure


def _title(canvas: Canvas, chart: Chart, subtitle: list[str], height: float) -> None:
    y = height - ABOVE - 6
    canvas.text(20, y, drawable(chart.title), TITLE_SIZE, bold=True)
    y -= TITLE_ROW
    for row in subtitle:
        canvas.text(20, y, row, TICK_SIZE, color=QUIET)
        y -= TEXT_ROW
    y -= 4
    x = 26.0
    for status in sorted({point.status for point in chart.points}):
        canvas.mark(x, y + 4, status)
        canvas.text(x + 10, y, WORDS[status], LABEL_SIZE)
        x += 10 + text_width(WORDS[status], LABEL_SIZE) + 24


def _grounds(canvas: Canvas, margins: MarginScale, bottom: float, top: float) -> None:
    for zone in margins.zones:
        canvas.area(zone.left, bottom, zone.right, top, PASS_GROUND if zone.kind in ("zero", "pass") else FAIL_GROUND)
    for x, _ in margins.ticks():
        canvas.line((x, x), (bottom, top), FAINT, zorder=1)
    line = margins.threshold
    canvas.line((line, line), (bottom, top), VERMILLION, 1.3, zorder=2)


def _margin_axis(canvas: Canvas, margins: MarginScale, floor: float, top: float) -> None:
    for x, label in margins.ticks():
        canvas.text(x, floor - 16, label, TICK_SIZE, ha="center", color=QUIET)
    for kind, label in (("zero", "0, exact"), ("inf", "inf")):
        zone = margins.zone(kind)
        if zone is not None:
            canvas.text((zone.left + zone.right) / 2, floor - 16, label, TICK_SIZE, ha="center", color=QUIET)
    canvas.text((LEFT + WIDTH - RIGHT) / 2, floor - 38, "worst margin: largest error / allowed error", LABEL_SIZE, ha="center")
    canvas.text(margins.threshold - 5, top + 5, "passes", LABEL_SIZE, ha="right", color=BLUE)
    canvas.text(margins.threshold + 5, top + 5, "fails", LABEL_SIZE, ha="left", color=VERMILLION)


def _rows(canvas: Canvas, margins: MarginScale, points: list[Point], bottom: float, top: float, alone: bool) -> None:
    """Implementations without a speed, one row each, so that no two labels can meet."""
    _grounds(canvas, margins, bottom, top)
    if not alone:
        canvas.text(LEFT - 8, (bottom + top) / 2, "no speed", TICK_SIZE, ha="right", va="center", color=QUIET)
    for index, point in enumerate(points):
        x, y = margins.x(point.margin), top - RAIL_PAD - ROW_HEIGHT * (index + 0.5)
        label = drawable(point.label)
        width = text_width(label, LABEL_SIZE)
        fits = x + 9 + width < WIDTH - RIGHT
        crosses = x < margins.threshold < x + 9 + width and x - 9 - width > LEFT
        canvas.line((LEFT, WIDTH - RIGHT), (y, y), FAINT, 0.6, zorder=1)
        canvas.mark(x, y, point.status)
        side, shift = ("left", 9) if fits and not crosses else ("right", -9)
        canvas.text(x + shift, y, label, LABEL_SIZE, ha=side, va="center", zorder=6)


def _main(canvas: Canvas, margins: MarginScale, points: list[Point], bottom: float, top: float, speed_label: str) -> None:
    _grounds(canvas, margins, bottom, top)
    ends = [value for p in points for value in (p.speed, p.speed_low, p.speed_high) if value is not None and _drawn(value)]
    ratios = ratio_scale(ends, bottom, top)
    for y, label in ratios.ticks():
        canvas.line((LEFT, WIDTH - RIGHT), (y, y), FAINT, zorder=1)
        canvas.text(LEFT - 8, y, label, TICK_SIZE, ha="right", va="center", color=QUIET)
    level = ratios.y(1.0)
    canvas.line((LEFT, WIDTH - RIGHT), (level, level), RULE, 1.1, zorder=2, dashes=(5, 3))
    canvas.text(17, (bottom + top) / 2, speed_label, LABEL_SIZE, rotation=90, ha="center", va="center")
    obstacles = []
    # Conforming ones last, so that they are not hidden by others at the same place.
    for point in sorted(points, key=lambda point: point.status is Status.CONFORMS):
        x, y, low, high = _place(point, margins, ratios)
        if high - low > MARK_SIZE:
            canvas.line((x, x), (low, high), COLOURS[point.status], 1.5, zorder=4)
            for end in (low, high):
                canvas.line((x - 3, x + 3), (end, end), COLOURS[point.status], 1.2, zorder=4)
        canvas.mark(x, y, point.status)
        half = MARK_SIZE / 2
        obstacles += [Box(x - half, y - half, x + half, y + half), Box(x - 2, low, x + 2, high)]
    _labels(canvas, margins, ratios, points, obstacles, Box(LEFT + 2, bottom + 2, WIDTH - RIGHT - 2, top - 2), level)


def _drawn(value: float) -> bool:
    return math.isfinite(value) and value > 0


def _place(point: Point, margins: MarginScale, ratios: RatioScale) -> tuple[float, float, float, float]:
    assert point.speed is not None
    y = ratios.y(point.speed)
    low = ratios.y(point.speed_low) if point.speed_low is not None and _drawn(point.speed_low) else y
    high = ratios.y(point.speed_high) if point.speed_high is not None and _drawn(point.speed_high) else y
    return margins.x(point.margin), y, low, high


def _labels(
    canvas: Canvas,
    margins: MarginScale,
    ratios: RatioScale,
    points: list[Point],
    obstacles: list[Box],
    frame: Box,
    level: float,
) -> None:
    texts = [drawable(point.label) + (" (baseline)" if point.baseline else "") for point in points]
    anchors = []
    for point, text in zip(points, texts, strict=True):
        x, y, _, _ = _place(point, margins, ratios)
        anchors.append(Anchor(x, y, text_width(text, LABEL_SIZE), LABEL_SIZE + 2))
    line = margins.threshold
    lines = [Box(line - 1, frame.bottom, line + 1, frame.top), Box(frame.left, level - 1, frame.right, level + 1)]
    for anchor, text, box in zip(anchors, texts, place(anchors, obstacles, frame, lines), strict=True):
        middle = (box.bottom + box.top) / 2
        # Anchored on the side of the point, so that a renderer's slightly other idea of a width cannot close the gap.
        side, at = ("right", box.right) if box.right < anchor.x else ("left", box.left)
        canvas.text(at, middle, text, LABEL_SIZE, ha=side, va="center_baseline", zorder=4.5, bbox=dict(GLASS))
        near_x = min(max(anchor.x, box.left), box.right)
        near_y = min(max(anchor.y, box.bottom), box.top)
        if math.hypot(near_x - anchor.x, near_y - anchor.y) > 11:
            canvas.line((anchor.x, near_x), (anchor.y, near_y), RULE, 0.7, zorder=3)
