"""Put a chart into the page as inline SVG: its colours follow the page's, and its ids are unique."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from reports.charts import style

SVG = "{http://www.w3.org/2000/svg}"
HREF = "{http://www.w3.org/1999/xlink}href"
KEPT = frozenset({"svg", "g", "defs", "path", "use", "clipPath", "rect"})
"""Elements that our charts draw with; all others (metadata, styles, titles) are left out."""

COLOURS = {
    style.INK: "--ink",
    style.QUIET: "--quiet",
    style.FAINT: "--faint",
    style.RULE: "--rule",
    style.BLUE: "--blue-mark",
    style.VERMILLION: "--red-mark",
    style.BLACK: "--ink",
    style.GREEN: "--green-mark",
    style.PURPLE: "--purple-mark",
    style.OCHRE: "--ochre-mark",
    style.CARD: "--card",
    style.PASS_GROUND: "--pass-ground",
    style.FAIL_GROUND: "--fail-ground",
}
"""The charts' palette, and the variable of the style sheet that replaces each colour."""
_VARIABLES = {colour.lower(): variable for colour, variable in COLOURS.items()}
_COLOUR = re.compile("|".join(_VARIABLES), re.IGNORECASE)


def inline(svg: bytes, prefix: str) -> str:
    """The drawing as an ``svg`` element whose ids begin with ``prefix``, hidden from readers of the page's text.

    The page around it says in words what it shows.
    """
    root = ElementTree.fromstring(svg)
    _, _, width, height = root.attrib["viewBox"].split()
    _clean(root, prefix)
    root.attrib = {"viewBox": f"0 0 {width} {height}", "width": width, "height": height, "aria-hidden": "true"}
    return ElementTree.tostring(root, encoding="unicode", short_empty_elements=True)


def _clean(element: ElementTree.Element, prefix: str) -> None:
    """Drop what is no drawing, make the ids and the references to them those of ``prefix``, and the colours the page's."""
    element.tag = element.tag.removeprefix(SVG)
    element.text = element.tail = None
    attributes = {key: " ".join(value.split()) for key, value in element.attrib.items() if not key.startswith("{")}
    if "id" in attributes:
        attributes["id"] = prefix + attributes["id"]
    if HREF in element.attrib:
        attributes["href"] = f"#{prefix}{element.attrib[HREF].removeprefix('#')}"
    for key in attributes.keys() & {"style", "clip-path"}:
        own = attributes[key].replace("url(#", f"url(#{prefix}")
        attributes[key] = _COLOUR.sub(lambda found: f"var({_VARIABLES[found.group().lower()]})", own)
    element.attrib = attributes
    for child in list(element):
        if child.tag.removeprefix(SVG) in KEPT:
            _clean(child, prefix)
        if child.tag not in KEPT or (child.tag in ("g", "defs") and len(child) == 0):
            element.remove(child)
