"""The font of all charts and badges: what it can show, and how wide that is."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import matplotlib
from matplotlib.font_manager import FontProperties, get_font
from matplotlib.textpath import TextPath

from reports.document import visible

LONGEST_LABEL = 36
FONT = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
"""The font that comes with matplotlib: one of the same name may be installed in another version."""


def drawable(text: str, longest: int = LONGEST_LABEL) -> str:
    """The text with characters that the font lacks replaced, cut to what the chart has room for."""
    font = get_font(FONT)
    shown = "".join(c if font.get_char_index(ord(c)) else "?" for c in visible(text))
    return shown if len(shown) <= longest else shown[: longest - 1] + "…"


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Points from the beginning of a text to the right end of its last glyph; 0 where nothing of it is seen."""
    if not text.strip():
        return 0.0
    # The font's outlines have points where they reach furthest, so the points give the width without following curves.
    return float(TextPath((0, 0), text, size=size, prop=FontProperties(fname=str(FONT))).vertices[:, 0].max())
