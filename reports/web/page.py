"""One file that holds the whole report: text, plots, style and script; its own policy forbids it to fetch anything."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from reports.document import Document, Link, located, readable
from reports.web.html import Heading, HtmlRenderer

SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock. -->"
"""Stands on the page's second line: only a page that has it there is ever overwritten."""
FOLDER = Path(__file__).parent


def render(document: Document, plots: Mapping[str, bytes]) -> str:
    """The page. ``plots`` are SVG by the path that the document's figures name."""
    document = located(document, ".html", "index")
    renderer = HtmlRenderer(plots)
    lead, body = renderer.blocks([document.lead]), renderer.blocks(document.sections)
    title = html.escape(readable(document.title))
    style, script = _asset("style.css"), _asset("script.js")
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_digest(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return f"""\
<!DOCTYPE html>
{SIGNATURE}
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<nav aria-label="Contents">
{_pages(document.links)}{_contents(renderer.headings)}</nav>
<main id="content" tabindex="-1">
<header>
<h1>{title}</h1>
{lead}</header>
{body}</main>
<p id="status" class="unseen" role="status"></p>
<script>{script}</script>
</body>
</html>
"""


def _pages(links: Sequence[Link]) -> str:
    """The other pages of the report."""
    items = "".join(f'<li><a href="{html.escape(link.target)}">{html.escape(readable(link))}</a></li>\n' for link in links)
    return f'<ul class="pages">\n{items}</ul>\n' if links else ""


def _contents(headings: Sequence[Heading]) -> str:
    """Two levels; the inner one is left to wide screens by the style sheet."""
    entries: list[tuple[Heading, list[Heading]]] = []
    for heading in headings:
        if heading.level == 2:
            entries.append((heading, []))
        elif heading.level == 3:
            entries[-1][1].append(heading)
    items = ""
    for heading, inner in entries:
        lines = "".join(f"<li>{_entry(each.id, each.text)}</li>\n" for each in inner)
        below = f"\n<ul>\n{lines}</ul>\n" if lines else "\n"
        items += f"<li>{_entry(heading.id, heading.text)}{below}</li>\n"
    return f"<ul>\n{items}</ul>\n"


def _entry(place: str, text: str) -> str:
    return f'<a href="#{place}">{html.escape(text)}</a>'


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").replace("\r\n", "\n")
