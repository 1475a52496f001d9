"""One file that holds the whole report: text, plots, style and script; its own policy forbids it to fetch anything."""

from __future__ import annotations

import base64
import hashlib
import html
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from impls.implementation import is_installed
from reports.web.convert import Converter, Heading
from reports.web.figures import inline

NEEDS = "markdown-it-py"
SIGNATURE = "<!-- Rendered by `python -m reports` of Gaugeblock. -->"
"""Stands on the page's second line: only a page that has it there is ever overwritten."""
TITLE = "Conformance report"
FOLDER = Path(__file__).parent


def available() -> bool:
    """Whether the library that the page is converted with is installed."""
    return is_installed("markdown_it")


def page(
    headline: str, sections: Sequence[tuple[str, str]], plots: Mapping[str, bytes], links: frozenset[str] = frozenset()
) -> bytes:
    """The page from the same Markdown as README.md: ``sections`` are titles and bodies, ``plots`` SVG by relative path.

    ``links`` are the only places outside the page that it may lead to.
    """
    drawn = {path: inline(svg, f"plot{number}.") for number, (path, svg) in enumerate(sorted(plots.items()), start=1)}
    converter = Converter(drawn, links)
    lead = converter.html(headline)
    body = "".join(f"<section>\n{converter.html(f'## {title}')}{converter.html(text)}</section>\n" for title, text in sections)
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
<title>{TITLE}</title>
<link rel="icon" href="data:,">
<style>{style}</style>
</head>
<body>
<a class="skip" href="#content">Skip to the report</a>
<nav aria-label="Contents">
{_contents(converter.headings)}</nav>
<main id="content" tabindex="-1">
<header>
<h1>{TITLE}</h1>
{lead}</header>
{body}</main>
<p id="status" class="unseen" role="status"></p>
<script>{script}</script>
</body>
</html>
""".encode()


def _contents(headings: Sequence[Heading]) -> str:
    """Two levels; the inner one is left to wide screens by the style sheet."""
    lines = ["<ul>"]
    open_ = inner = False
    for heading in headings:
        # Within its section "League: AdEMAMix" is AdEMAMix.
        text = heading.text.partition(": ")[2] if heading.level == 3 and ": " in heading.text else heading.text
        entry = f'<a href="#{heading.id}">{html.escape(text)}</a>'
        if heading.level == 2:
            lines += ["</ul>"] if inner else []
            lines += ["</li>"] if open_ else []
            lines.append(f"<li>{entry}")
            open_, inner = True, False
        elif heading.level == 3 and open_:
            lines += [] if inner else ["<ul>"]
            lines.append(f"<li>{entry}</li>")
            inner = True
    lines += (["</ul>"] if inner else []) + (["</li>"] if open_ else []) + ["</ul>"]
    return "\n".join(lines) + "\n"


def _digest(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


@cache
def _asset(name: str) -> str:
    return (FOLDER / name).read_text(encoding="utf-8").replace("\r\n", "\n")
