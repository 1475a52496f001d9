"""A document as HTML in which a record's string is never more than text."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count

from reports import document as doc
from reports.web.cells import kind, sort_key
from reports.web.figures import inline

_WIDTH = re.compile(r'<svg[^>]* width="([0-9.]+)"')
NARROW = 560
"""Points up to which a plot is drawn for a narrow screen, and shown there whole."""
FEWEST_SORTABLE_ROWS = 3
LONGEST_UNBROKEN, LONGEST_UNBROKEN_NAME = 40, 12
"""Characters of a cell up to which it stays on one line; of a row's name on a narrow screen."""


@dataclass(frozen=True)
class Heading:
    level: int
    id: str
    text: str


@dataclass
class HtmlRenderer:
    """Renders part after part of one page, so that no two headings of it share an id."""

    plots: Mapping[str, bytes]
    """The SVG of each figure by its path, which ends as that of the figure does."""
    headings: list[Heading] = field(default_factory=list)
    """Those rendered so far."""
    drawn: int = 0
    """How many figures were rendered so far."""

    def blocks(self, body: Iterable[doc.Block], level: int = 2) -> str:
        """Blocks one below the other; the sections among them have headings of that level."""
        return "".join(self._block(block, level) for block in body)

    def _block(self, block: doc.Block, level: int) -> str:
        match block:
            case doc.Section():
                return self._section(block, level)
            case doc.BulletList():
                return self._list(block)
            case doc.Table():
                return self._table(block)
            case doc.CodeBlock(text):
                body = _escaped(doc.visible(text, keep="\n\t").strip("\n"))
                return f'<div class="command"><pre><code>{body}</code></pre></div>\n'
            case doc.Details(title, body):
                return f"<details><summary>{self._inline(title)}</summary>\n{self.blocks(body, level)}</details>\n"
            case _:
                return f"<p>{self._inline(block)}</p>\n"

    def _section(self, section: doc.Section, level: int) -> str:
        text = doc.readable(section.title)
        first, *places = section.places if section.framed else (self._free_id(text), *section.places)
        self.headings.append(Heading(level, first, text))
        marks = "".join(f'<a id="{place}"></a>' for place in places)
        here = f' <a class="here" href="#{first}" aria-label="{html.escape(f"Link to {text}")}">#</a>'
        heading = f"{self._inline(section.title)}{here}</h{level}>\n"
        if section.framed:
            # The frame has the id, so that a link leads to its top.
            body = f"<h{level}>{heading}{self.blocks(section.body, level + 1)}"
            return f'<section class="finding" id="{first}">{marks}\n{body}</section>\n'
        body = f'{marks}<h{level} id="{first}">{heading}{self.blocks(section.body, level + 1)}'
        return f"<section>\n{body}</section>\n" if level == 2 else body

    def _free_id(self, text: str) -> str:
        base = doc.slug(text)
        taken = {heading.id for heading in self.headings}
        # A numbered id may already be taken as well, so try until one is free.
        return next(name for name in chain([base], (f"{base}-{number}" for number in count(2))) if name not in taken)

    def _list(self, items: doc.BulletList) -> str:
        found: list[str] = []
        for item in items.items:
            if isinstance(item, doc.BulletList):
                found[-1] += f"\n{self._list(item)}"
            else:
                found.append(f"<li>{self._inline(item)}")
        return "<ul>\n" + "".join(f"{item}</li>\n" for item in found) + "</ul>\n"

    def _table(self, table: doc.Table) -> str:
        label = html.escape(f"Table: {self.headings[-1].text if self.headings else ''}")
        # A table of two columns is a list of facts: its rows have names, its columns have none.
        facts = len(table.headers) == 2
        sortable = not facts and not table.signs and len(table.rows) >= FEWEST_SORTABLE_ROWS
        head, *body = (self._row(table, row, facts, sortable) for row in (table.headers, *table.rows))
        return (
            f'<div class="scroll" role="region" aria-label="{label}" tabindex="0">'
            f'<table class="{"signs" if table.signs else "facts" if facts else "sortable" if sortable else "plain"}">\n'
            f"<thead>\n{head}</thead>\n<tbody>\n{''.join(body)}</tbody>\n</table></div>\n"
        )

    def _row(self, table: doc.Table, row: Sequence[doc.Inline], facts: bool, sortable: bool) -> str:
        cells = []
        for column, content in enumerate(row):
            text, numeric = doc.readable(content), table.align[column : column + 1] == "r"
            names_row = column == 0 and (facts or row is not table.headers)
            names_column = row is table.headers and not facts
            attributes, classes = "", ["number"] if numeric else []
            if names_row or names_column:
                attributes = f' scope="{"row" if names_row else "col"}"'
            elif row is not table.headers:
                classes.append(kind(text))
                key = sort_key(text) if numeric and sortable else None
                attributes = "" if key is None else f' data-key="{"Infinity" if key == float("inf") else repr(key)}"'
            if names_row and not facts and len(text) > LONGEST_UNBROKEN_NAME:
                classes.append("name")
            if len(text) > LONGEST_UNBROKEN and not numeric:
                classes.append("long")
            named = " ".join(filter(None, classes))
            attributes += f' class="{named}"' if named else ""
            tag = "th" if names_row or names_column else "td"
            cells.append(f"<{tag}{attributes}>{self._inline(content)}</{tag}>\n")
        return f"<tr>\n{''.join(cells)}</tr>\n"

    def _inline(self, content: doc.Inline) -> str:
        return "".join(self._span(span) for span in doc.spans(content)).strip()

    def _span(self, span: doc.Span) -> str:
        match span:
            case str() | doc.Number():
                return _escaped(span if isinstance(span, str) else span.text)
            case doc.Code(text):
                shown = _escaped(doc.monospace(text))
                return shown if shown == "-" else f"<code>{shown}</code>"
            case doc.Strong(content):
                return f"<strong>{self._inline(content)}</strong>"
            case doc.Emphasis(content):
                return f"<em>{self._inline(content)}</em>"
            case doc.Link(content, target):
                return f'<a href="{html.escape(target)}">{self._inline(content)}</a>'
            case doc.Figure():
                return self._figure(span)

    def _figure(self, figure: doc.Figure) -> str:
        self.drawn += 1
        drawing = inline(self.plots[figure.path.removeprefix("../")], f"plot{self.drawn}.")
        width = _WIDTH.search(drawing)
        narrow = " narrow" if width is not None and float(width[1]) <= NARROW else ""
        words = html.escape(doc.readable(figure.description))
        return f'<span class="plot{narrow}" role="img" aria-label="{words}" tabindex="0">{drawing}</span>'


def _escaped(text: str) -> str:
    return html.escape(text, quote=False)
