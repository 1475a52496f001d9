"""A plot is set into the page as inline SVG: its colours follow the page's, its ids are its own, its comments stay behind."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from reports.canvas import (
    BLACK,
    BLUE,
    CARD,
    FAIL_GROUND,
    FAINT,
    GREEN,
    INK,
    OCHRE,
    PASS_GROUND,
    PURPLE,
    QUIET,
    RULE,
    VERMILLION,
)

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
KEPT = frozenset({"svg", "g", "defs", "path", "use", "clipPath", "rect"})
"""Elements that our plots draw with; whatever else stands in one (metadata, styles, titles) is left out."""

COLOURS = {
    INK: "--ink",
    QUIET: "--quiet",
    FAINT: "--faint",
    RULE: "--rule",
    BLUE: "--blue-mark",
    VERMILLION: "--red-mark",
    BLACK: "--ink",
    GREEN: "--green-mark",
    PURPLE: "--purple-mark",
    OCHRE: "--ochre-mark",
    CARD: "--card",
    "#d1d9e0": "--border",
    PASS_GROUND: "--pass-ground",
    FAIL_GROUND: "--fail-ground",
}
"""The plots' palette, and the variable of the style sheet that stands for each colour."""
_COLOUR = re.compile("|".join(re.escape(colour) for colour in COLOURS), re.IGNORECASE)
_URL = re.compile(r"url\(#")


def inline(svg: bytes, prefix: str) -> str:
    """The plot's drawing as an ``svg`` element whose ids begin with ``prefix``, hidden from readers of the page's text.

    Whoever sets it into a page says in words what it shows.
    """
    root = ElementTree.fromstring(svg)
    _, _, width, height = root.attrib["viewBox"].split()
    drawing = _element(root, prefix)
    assert drawing is not None
    drawing.attrib = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height, "aria-hidden": "true"}
    return ElementTree.tostring(drawing, encoding="unicode", short_empty_elements=True)


def _element(source: ElementTree.Element, prefix: str) -> ElementTree.Element | None:
    name = source.tag.removeprefix(SVG) if isinstance(source.tag, str) else ""
    if name not in KEPT:
        return None
    copied = ElementTree.Element(name)
    for key, value in source.attrib.items():
        if key == "id":
            copied.set("id", prefix + value)
        elif key == HREF:
            copied.set("href", f"#{prefix}{value.removeprefix('#')}")
        elif not key.startswith("{"):
            copied.set(
                key, _styled(_URL.sub(f"url(#{prefix}", value)) if key in ("style", "clip-path") else " ".join(value.split())
            )
    for child in source:
        inner = _element(child, prefix)
        if inner is not None:
            copied.append(inner)
    return None if name in ("g", "defs") and len(copied) == 0 else copied


def _styled(style: str) -> str:
    by_lower_case = {colour.lower(): variable for colour, variable in COLOURS.items()}
    return _COLOUR.sub(lambda found: f"var({by_lower_case[found.group().lower()]})", style)
