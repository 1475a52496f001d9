"""Save a figure as SVG: opaque, glyphs as paths, the same bytes every time."""

from __future__ import annotations

import io
from collections.abc import Callable

from matplotlib import style
from matplotlib.figure import Figure

from reports.charts.font import drawable
from reports.charts.style import STYLE

SIGNATURE = "<!-- Rendered by Gaugeblock. -->"


def as_svg(draw: Callable[[], Figure], title: str) -> bytes:
    """The figure of ``draw`` as SVG, whatever a matplotlibrc says; without the time and the version of matplotlib."""
    buffer = io.BytesIO()
    metadata = {"Date": None, "Creator": None, "Format": None, "Type": None, "Title": drawable(title)}
    with style.context(["default", STYLE]):
        draw().savefig(buffer, format="svg", metadata=metadata)
    declaration, _, rest = buffer.getvalue().decode("utf-8").replace("\r\n", "\n").partition("\n")
    return f"{declaration}\n{SIGNATURE}\n{rest}".encode()
