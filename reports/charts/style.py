"""The look of all charts: one palette, one set of matplotlib settings, one frame with a heading and a legend."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import EngFormatter, FixedLocator, LogLocator, NullLocator

from reports.charts.font import drawable

# Okabe and Ito's palette, distinct under the common colour deficiencies; darkened where a white ground needs it.
BLUE, VERMILLION, BLACK, GREEN, PURPLE, OCHRE = "#0072B2", "#D55E00", "#000000", "#00795a", "#a0447c", "#946300"
INK, QUIET, FAINT, RULE = "#1f2328", "#59636e", "#eaedf0", "#b8c0c8"
PASS_GROUND, FAIL_GROUND, CARD = "#f7f9fb", "#fdf3ed", "#ffffff"

COLOURS = (BLUE, VERMILLION, GREEN, PURPLE, INK, OCHRE)
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (2, 1.5)), (0, (6, 2, 1.5, 2)))
LOOKS = tuple(
    {"color": COLOURS[n % len(COLOURS)], "marker": MARKERS[n % len(MARKERS)], "linestyle": DASHES[n // len(MARKERS)]}
    for n in range(len(MARKERS) * len(DASHES))
)
"""One for each line: no two are the same, and marker and dash tell them apart without colour as well."""

WIDTH = 480.0
"""Points. Narrow, so that a phone shows a chart whole and its letters stay readable."""
POINTS_PER_INCH, PAD, ROW, AROUND = 72, 10.0, 20.0, 62.0
"""``ROW`` is the height of a row of marks, ``AROUND`` that of what is above and below the rows."""
TITLE_SIZE, TITLE_ROW, TEXT_SIZE, TEXT_ROW, LEGEND_ROW = 12.0, 16.0, 10.0, 14.0, 17.0
CHARACTER, TITLE_CHARACTER, LEGEND_MARK = 6.4, 8.2, 40.0
"""About the width of a character, and of a mark in the legend with its space."""
MOST_ROWS, MOST_COLUMNS = 3, 4
ZERO_BELOW = 0.4
"""A linear axis begins at 0 where its least value is below this part of its largest."""
MANY = 150.0
"""Where the ends of a logarithmic axis differ by this factor or more, only powers of ten have a tick."""
NEAR = 3
"""Decades to either side of 1 in which numbers are spelled out."""

STYLE: dict[str, Any] = {
    "svg.hashsalt": "gaugeblock",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "text.hinting": "none",
    "path.simplify": False,
    "font.family": "DejaVu Sans",
    "font.size": TEXT_SIZE,
    "text.color": INK,
    "figure.dpi": POINTS_PER_INCH,
    "figure.facecolor": CARD,
    "axes.facecolor": PASS_GROUND,
    "axes.edgecolor": RULE,
    "axes.labelcolor": INK,
    "axes.labelsize": TEXT_SIZE,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.prop_cycle": cycler(**{key: [look[key] for look in LOOKS] for key in LOOKS[0]}),
    "grid.color": FAINT,
    "xtick.color": RULE,
    "xtick.labelcolor": QUIET,
    "ytick.color": RULE,
    "ytick.labelcolor": QUIET,
    "ytick.major.size": 0,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.7,
    "lines.markersize": 6.5,
    "lines.markeredgecolor": CARD,
    "lines.markeredgewidth": 0.7,
}
"""What differs from matplotlib's defaults."""


def finished(figure: Figure, title: str, subtitle: str, body: float, width: float = WIDTH) -> Figure:
    """The figure with a heading above its axes and a legend below; ``body`` is the height of the axes in points."""
    handles, labels = figure.axes[0].get_legend_handles_labels()
    longest = CHARACTER * max((len(label) for label in labels), default=0) + LEGEND_MARK
    columns = max(1, min(MOST_COLUMNS, int((width - PAD) / longest)))
    titles = textwrap.wrap(drawable(title, 160), int((width - 2 * PAD) / TITLE_CHARACTER))[:MOST_ROWS]
    texts = textwrap.wrap(drawable(subtitle, 240), int((width - 2 * PAD) / CHARACTER))[:MOST_ROWS]
    heading = 1.5 * PAD + TITLE_ROW * len(titles) + TEXT_ROW * len(texts)
    height = heading + body + LEGEND_ROW * math.ceil(len(labels) / columns)
    figure.set_size_inches(width / POINTS_PER_INCH, height / POINTS_PER_INCH)
    pad, left, below = PAD / 2 / POINTS_PER_INCH, PAD / 2 / width, 1 - (PAD + 2 + TITLE_ROW * len(titles)) / height
    figure.text(PAD / width, 1 - PAD / height, "\n".join(titles), va="top", weight="bold", size=TITLE_SIZE)
    figure.text(PAD / width, below, "\n".join(texts), va="top", color=QUIET)
    if handles:
        figure.legend(handles, labels, loc="outside lower left", ncols=columns, columnspacing=1.2)
    engine = ConstrainedLayoutEngine(rect=(left, 0, 1 - 2 * left, 1 - heading / height), w_pad=pad, h_pad=pad)
    engine.execute(figure)
    for axes in figure.axes:
        # The solver's last bits differ from process to process, and ids in the file are made from them.
        axes.set_position(np.round(axes.get_position().bounds, 5))
    return figure


def rows(axes: Axes, names: Sequence[str]) -> float:
    """A row for each name, the first one on top; the height in points that they need."""
    axes.set_yticks(range(len(names)), [drawable(name) for name in names])
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.tick_params(axis="y", labelcolor=INK)
    return ROW * len(names) + AROUND


def set_ticks(axes: Axes, many: float = MANY) -> None:
    """Ticks for the scale of each axis; what a scale cannot place (0 on a logarithmic one, infinity) lies on the edge."""
    axes.autoscale_view()
    if axes.get_yscale() == "linear" and 0 < axes.get_ylim()[0] < ZERO_BELOW * axes.get_ylim()[1]:
        axes.set_ylim(bottom=0)
    x_limits, y_limits = axes.get_xlim(), axes.get_ylim()
    axes.set(xlim=x_limits, ylim=y_limits)
    for axis, (low, high) in ((axes.xaxis, x_limits), (axes.yaxis, y_limits)):
        axis.set_minor_locator(NullLocator())
        if isinstance(axis.get_major_locator(), FixedLocator):
            continue
        if axis.get_scale() == "log":
            axis.set_major_locator(LogLocator(subs=(1, 2, 5) if high / low < many else (1,)))
        axis.set_major_formatter(lambda value, _: short(value))
    for line in axes.lines:
        line.set_data(np.clip(line.get_xydata(), *np.sort([x_limits, y_limits]).T).T)
        line.set_clip_on(False)


def short(value: float) -> str:
    """A number for an axis.

    >>> [short(x) for x in (1e-7, 5e-4, 0.002, 0, 5, 2e4, 1e15)]
    ['10⁻⁷', '5·10⁻⁴', '0.002', '0', '5', '20k', '10¹⁵']
    """
    if value == 0 or 10.0**-NEAR <= abs(value) < 1:
        return f"{value:g}"
    if 1 <= abs(value) < 1e15:
        return str(EngFormatter(sep="")(value))
    leading, _, power = f"{value:.2e}".partition("e")
    ten = power_of_ten(int(power))
    return ten if float(leading) == 1 else f"{float(leading):g}·{ten}"


def power_of_ten(power: int) -> str:
    """``0.01`` near 1, ``10⁻⁶`` far from it."""
    if abs(power) <= NEAR:
        return f"{10.0**power:g}"
    return "10" + str(power).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
