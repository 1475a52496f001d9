"""A chart of margin and speed as SVG: opaque, colour-blind safe, told apart by shape as well, the same bytes every time."""

from __future__ import annotations

import io
import logging
import math
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from reports.chart_data import Chart, Point
from reports.markup import visible
from reports.placing import Anchor, Box, place
from reports.scales import MarginScale, RatioScale, margin_scale, ratio_scale
from reports.standing import Status

SIGNATURE = "<!-- Rendered by Gaugeblock. -->"

# Okabe and Ito's palette, which stays apart under the common colour deficiencies.
BLUE, VERMILLION, BLACK = "#0072B2", "#D55E00", "#000000"
INK, QUIET, FAINT, RULE = "#1f2328", "#59636e", "#eaedf0", "#b8c0c8"
PASS_GROUND, FAIL_GROUND, CARD = "#f7f9fb", "#fdf3ed", "#ffffff"

COLOURS = {Status.CONFORMS: BLUE, Status.FAILS: VERMILLION, Status.CRASHES: BLACK}
WORDS = {Status.CONFORMS: "conforms", Status.FAILS: "does not conform", Status.CRASHES: "crashes"}

# In points; the figure's coordinates are points as well.
WIDTH = 760.0
LEFT, RIGHT, TOP, BOTTOM = 74.0, 26.0, 78.0, 58.0
MAIN_HEIGHT, ROW_HEIGHT, RAIL_PAD = 300.0, 17.0, 9.0
LABEL_SIZE, TICK_SIZE, TITLE_SIZE = 9.0, 8.5, 14.0
MARK_SIZE = 12.0
"""Intervals shorter than this hide behind their mark and are not drawn."""
LONGEST_LINE, LONGEST_LABEL = 100, 36
POINTS_PER_INCH = 72
GLASS = {"facecolor": CARD, "edgecolor": "none", "alpha": 0.7, "pad": 0.5}
"""Keeps a label legible where a line runs beneath it (a rim around each glyph would triple the file)."""

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "gaugeblock",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "text.usetex": False,
    "text.hinting": "none",
    "path.simplify": False,
}


def draw(chart: Chart) -> bytes:
    """The chart as SVG."""
    with _own_settings():
        buffer = io.BytesIO()
        figure = _figure(chart)
        FigureCanvasSVG(figure)
        metadata = {"Date": None, "Creator": None, "Format": None, "Type": None, "Title": _drawable(chart.title)}
        figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue().decode("utf-8").replace("\r\n", "\n")
    declaration, _, rest = text.partition("\n")
    return f"{declaration}\n{SIGNATURE}\n{rest}".encode()


def draw_png(chart: Chart, scale: float = 2.0) -> bytes:
    """The same chart as PNG, to look at while working on it."""
    with _own_settings():
        buffer = io.BytesIO()
        figure = _figure(chart)
        FigureCanvasAgg(figure)
        figure.savefig(buffer, format="png", dpi=POINTS_PER_INCH * scale)
    return buffer.getvalue()


@contextmanager
def _own_settings() -> Iterator[None]:
    """matplotlib's own defaults and ours, whatever a matplotlibrc of the user or of this folder says."""
    with matplotlib.rc_context():
        for name, default in matplotlib.rcParamsDefault.items():
            # Choosing a back end would import one; the canvases here are chosen by hand.
            if not name.startswith("backend"):
                matplotlib.rcParams[name] = default
        matplotlib.rcParams.update(SETTINGS)
        logger = logging.getLogger("matplotlib")
        before = logger.level
        logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            logger.setLevel(before)


@cache
def _font(bold: bool = False) -> FontProperties:
    return FontProperties(fname=_font_file(bold))


def _font_file(bold: bool = False) -> str:
    """The font that comes with matplotlib: one of the same name may be installed in another version."""
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


def _drawable(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text with what the font lacks replaced, and not longer than the chart can bear."""
    font = get_font(_font_file())
    shown = "".join(c if font.get_char_index(ord(c)) else "?" for c in visible(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


def _width(text: str, size: float, bold: bool = False) -> float:
    box = TextPath((0, 0), text, size=size, prop=_font(bold)).get_extents()
    return float(box.x1)


class _Canvas:
    """An axes without axes, in points."""

    def __init__(self, width: float, height: float) -> None:
        self.figure = Figure(figsize=(width / POINTS_PER_INCH, height / POINTS_PER_INCH), dpi=POINTS_PER_INCH)
        self.axes = self.figure.add_axes((0, 0, 1, 1))
        self.axes.set_xlim(0, width)
        self.axes.set_ylim(0, height)
        self.axes.set_axis_off()
        self.figure.patch.set_alpha(0)

    def text(self, x: float, y: float, text: str, size: float = TICK_SIZE, bold: bool = False, **style: Any) -> None:
        style.setdefault("color", INK)
        # Whatever comes here ends in the SVG twice, as glyphs and as a comment.
        self.axes.text(x, y, _drawable(text, LONGEST_LINE), fontproperties=_font(bold), fontsize=size, **style)

    def line(self, xs: tuple[float, float], ys: tuple[float, float], color: str, width: float = 0.8, **style: Any) -> None:
        self.axes.plot(xs, ys, color=color, linewidth=width, solid_capstyle="butt", **style)

    def area(self, left: float, bottom: float, right: float, top: float, color: str) -> None:
        self.axes.add_patch(Rectangle((left, bottom), right - left, top - bottom, facecolor=color, edgecolor="none", zorder=0))

    def card(self, width: float, height: float) -> None:
        inset, radius = 1.0, 8.0
        shape = FancyBboxPatch(
            (inset + radius, inset + radius),
            width - 2 * (inset + radius),
            height - 2 * (inset + radius),
            boxstyle=f"round,pad={radius},rounding_size={radius}",
            facecolor=CARD,
            edgecolor="#d1d9e0",
            linewidth=1.0,
            zorder=-1,
        )
        self.axes.add_patch(shape)

    def mark(self, x: float, y: float, status: Status) -> None:
        """Told apart by shape and by colour: dot, cross, hollow square."""
        color = COLOURS[status]
        strokes: dict[Status, list[dict[str, Any]]] = {
            Status.CONFORMS: [
                {"marker": "o", "markersize": 9, "markerfacecolor": color, "markeredgecolor": CARD, "markeredgewidth": 0.9}
            ],
            # Twice: a white cross beneath keeps the red one clear of whatever line it stands on.
            Status.FAILS: [
                {"marker": "x", "markersize": 7.5, "markeredgecolor": CARD, "markeredgewidth": 4.4},
                {"marker": "x", "markersize": 6.5, "markeredgecolor": color, "markeredgewidth": 2.3},
            ],
            Status.CRASHES: [
                {"marker": "s", "markersize": 7, "markerfacecolor": CARD, "markeredgecolor": color, "markeredgewidth": 1.5}
            ],
        }
        for stroke in strokes[status]:
            self.axes.plot([x], [y], linestyle="none", zorder=5, **stroke)


def _figure(chart: Chart) -> Figure:
    timed = [point for point in chart.points if point.speed is not None and _drawn(point.speed)]
    untimed = [point for point in chart.points if point not in timed]
    rail_height = len(untimed) * ROW_HEIGHT + 2 * RAIL_PAD if untimed else 0.0
    gap = 10.0 if timed and untimed else 0.0
    note = 14.0 if chart.left_out else 0.0
    floor = BOTTOM + note
    height = floor + rail_height + gap + (MAIN_HEIGHT if timed else 0.0) + TOP
    canvas = _Canvas(WIDTH, height)
    canvas.card(WIDTH, height)
    _title(canvas, chart, height)
    margins = margin_scale([point.margin for point in chart.points], LEFT, WIDTH - RIGHT)
    if untimed:
        _rows(canvas, margins, untimed, floor, floor + rail_height, alone=not timed)
    if timed:
        _main(canvas, margins, timed, floor + rail_height + gap, height - TOP, _drawable(chart.speed_label, 2 * LONGEST_LABEL))
    _margin_axis(canvas, margins, floor, height - TOP)
    if chart.left_out:
        names = ", ".join(_drawable(name) for name in chart.left_out)
        canvas.text(LEFT, 14, f"crashed in every case, so without a margin: {names}", color=QUIET)
    return canvas.figure


def _title(canvas: _Canvas, chart: Chart, height: float) -> None:
    canvas.text(LEFT, height - 31, _drawable(chart.title), TITLE_SIZE, bold=True)
    canvas.text(LEFT, height - 48, chart.subtitle, color=QUIET)
    x = WIDTH - RIGHT
    for status in sorted({point.status for point in chart.points}, reverse=True):
        x -= _width(WORDS[status], LABEL_SIZE)
        canvas.text(x, height - 30, WORDS[status], LABEL_SIZE)
        canvas.mark(x - 9, height - 27, status)
        x -= 32


def _grounds(canvas: _Canvas, margins: MarginScale, bottom: float, top: float) -> None:
    for zone in margins.zones:
        canvas.area(zone.left, bottom, zone.right, top, PASS_GROUND if zone.kind in ("zero", "pass") else FAIL_GROUND)
    for x, _ in margins.ticks():
        canvas.line((x, x), (bottom, top), FAINT, zorder=1)
    line = margins.threshold
    canvas.line((line, line), (bottom, top), VERMILLION, 1.3, zorder=2)


def _margin_axis(canvas: _Canvas, margins: MarginScale, floor: float, top: float) -> None:
    for x, label in margins.ticks():
        canvas.text(x, floor - 14, label, ha="center", color=QUIET)
    for kind, label in (("zero", "0, exact"), ("inf", "inf")):
        zone = margins.zone(kind)
        if zone is not None:
            canvas.text((zone.left + zone.right) / 2, floor - 14, label, ha="center", color=QUIET)
    canvas.text((LEFT + WIDTH - RIGHT) / 2, floor - 34, "worst margin: largest error / allowed error", LABEL_SIZE, ha="center")
    canvas.text(margins.threshold - 5, top + 5, "passes", LABEL_SIZE, ha="right", color=BLUE)
    canvas.text(margins.threshold + 5, top + 5, "fails", LABEL_SIZE, ha="left", color=VERMILLION)


def _rows(canvas: _Canvas, margins: MarginScale, points: list[Point], bottom: float, top: float, alone: bool) -> None:
    """Implementations without a speed, one row each, so that no two labels can meet."""
    _grounds(canvas, margins, bottom, top)
    if not alone:
        canvas.text(LEFT - 8, (bottom + top) / 2, "no speed", ha="right", va="center", color=QUIET)
    for index, point in enumerate(points):
        x, y = margins.x(point.margin), top - RAIL_PAD - ROW_HEIGHT * (index + 0.5)
        label = _drawable(point.label)
        width = _width(label, LABEL_SIZE)
        fits = x + 9 + width < WIDTH - RIGHT
        crosses = x < margins.threshold < x + 9 + width and x - 9 - width > LEFT
        canvas.line((LEFT, WIDTH - RIGHT), (y, y), FAINT, 0.6, zorder=1)
        canvas.mark(x, y, point.status)
        side, shift = ("left", 9) if fits and not crosses else ("right", -9)
        canvas.text(x + shift, y, label, LABEL_SIZE, ha=side, va="center", zorder=6)


def _main(canvas: _Canvas, margins: MarginScale, points: list[Point], bottom: float, top: float, speed_label: str) -> None:
    _grounds(canvas, margins, bottom, top)
    ends = [value for p in points for value in (p.speed, p.speed_low, p.speed_high) if value is not None and _drawn(value)]
    ratios = ratio_scale(ends, bottom, top)
    for y, label in ratios.ticks():
        canvas.line((LEFT, WIDTH - RIGHT), (y, y), FAINT, zorder=1)
        canvas.text(LEFT - 8, y, label, ha="right", va="center", color=QUIET)
    level = ratios.y(1.0)
    canvas.line((LEFT, WIDTH - RIGHT), (level, level), RULE, 1.1, zorder=2, dashes=(5, 3))
    canvas.text(22, (bottom + top) / 2, speed_label, LABEL_SIZE, rotation=90, ha="center", va="center")
    obstacles = []
    for point in points:
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
    canvas: _Canvas,
    margins: MarginScale,
    ratios: RatioScale,
    points: list[Point],
    obstacles: list[Box],
    frame: Box,
    level: float,
) -> None:
    texts = [_drawable(point.label) + (" (baseline)" if point.baseline else "") for point in points]
    anchors = []
    for point, text in zip(points, texts, strict=True):
        x, y, _, _ = _place(point, margins, ratios)
        anchors.append(Anchor(x, y, _width(text, LABEL_SIZE), LABEL_SIZE + 2))
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
