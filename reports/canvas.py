"""A page in points to draw on: opaque, one palette, the glyphs of one font as paths, the same bytes every time."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.patches import FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from reports.markup import visible
from reports.ranking import Status

SIGNATURE = "<!-- Rendered by Gaugeblock. -->"

# Okabe and Ito's palette, which stays apart under the common colour deficiencies.
BLUE, VERMILLION, BLACK = "#0072B2", "#D55E00", "#000000"
INK, QUIET, FAINT, RULE = "#1f2328", "#59636e", "#eaedf0", "#b8c0c8"
GREEN, PURPLE, OCHRE = "#00795a", "#a0447c", "#946300"
SERIES = (BLUE, VERMILLION, GREEN, PURPLE, INK, OCHRE)
"""Of lines, one per implementation: as dark as graphics must be on white; mark and dash tell them apart as well."""
PASS_GROUND, FAIL_GROUND, CARD = "#f7f9fb", "#fdf3ed", "#ffffff"

COLOURS = {Status.CONFORMS: BLUE, Status.FAILS: VERMILLION, Status.CRASHES: BLACK}

# In points; the figure's coordinates are points as well.
WIDTH = 760.0
LABEL_SIZE, TICK_SIZE, TITLE_SIZE = 9.0, 8.5, 14.0
LONGEST_LINE, LONGEST_LABEL = 100, 36
POINTS_PER_INCH = 72

SETTINGS: dict[Any, Any] = {
    "svg.hashsalt": "gaugeblock",
    "svg.fonttype": "path",
    "text.parse_math": False,
    "text.usetex": False,
    "text.hinting": "none",
    "path.simplify": False,
}


def as_svg(figure: Figure, title: str) -> bytes:
    """A figure as SVG, without the time, the version of matplotlib or anything else of the moment."""
    buffer = io.BytesIO()
    FigureCanvasSVG(figure)
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None, "Title": drawable(title)}
    figure.savefig(buffer, format="svg", metadata=metadata)
    text = buffer.getvalue().decode("utf-8").replace("\r\n", "\n")
    declaration, _, rest = text.partition("\n")
    return f"{declaration}\n{SIGNATURE}\n{rest}".encode()


@contextmanager
def own_settings() -> Iterator[None]:
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


def drawable(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text with what the font lacks replaced, and not longer than the chart can bear."""
    font = get_font(_font_file())
    shown = "".join(c if font.get_char_index(ord(c)) else "?" for c in visible(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float, bold: bool = False) -> float:
    """Points from the beginning of a text to the right end of its last glyph; 0 where nothing of it is seen."""
    if not text.strip():
        return 0.0
    # The font's outlines have points of their own where they reach furthest, so no curve has to be followed.
    return float(TextPath((0, 0), text, size=size, prop=_font(bold)).vertices[:, 0].max())


class Canvas:
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
        self.axes.text(x, y, drawable(text, LONGEST_LINE), fontproperties=_font(bold), fontsize=size, **style)

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
