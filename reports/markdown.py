"""A document as Markdown. Whatever a record says is text: it can neither become markup nor break a table.

This relies on one rule of CommonMark: a character that is written as a numeric reference never acts as markup.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from reports import document as doc

_MARKUP = r"[\\`*\[\]<>|~&#$@]"
"""Characters that start markup somewhere: Markdown, HTML, tables, strikethrough, references, mathematics, mentions."""
_EMPHASIS = r"(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])"
_BARE_LINK = r":(?=//)|(?<=www)\.|(?<=mailto):|(?<=xmpp):"
_IN_TEXT = re.compile(f"{_MARKUP}|{_EMPHASIS}|{_BARE_LINK}|\u00a0", re.IGNORECASE)
_IN_CODE = re.compile(f"{_MARKUP}|_|{_BARE_LINK}", re.IGNORECASE)
_FIRST = re.compile(r"^(\d{0,9})([-+=.)])(?=[-+= ]|$)")
NOTHING = "<!-- -->"
"""A comment, which no forge shows."""
WIDEST_PADDED = 160
"""Characters of a table's row up to which its columns are aligned in the source as well."""


def render(document: doc.Document) -> str:
    """The whole page, with links to the other pages and to its sections below the title."""
    document = doc.located(document, ".md")
    titles = [doc.readable(section.title) for section in document.sections]
    # The place is what a forge makes of the heading.
    contents = " · ".join(
        f"[{inline(title)}](#{re.sub('[^a-z0-9 -]', '', title.lower()).replace(' ', '-')})" for title in titles
    )
    pages = " · ".join(inline(link) for link in document.links)
    parts = [f"# {inline(document.title)}", pages, _block(document.lead, 2), contents if len(titles) > 1 else ""]
    return "\n\n".join([*filter(None, parts), blocks(document.sections)]) + "\n"


def blocks(body: Iterable[doc.Block], level: int = 2) -> str:
    """Blocks one below the other; the sections among them have headings of that level."""
    return "\n\n".join(_block(block, level) for block in body)


def inline(content: doc.Inline) -> str:
    """The content of one line."""
    return "".join(_span(span) for span in doc.spans(content))


def _span(span: doc.Span) -> str:
    match span:
        case str():
            return _IN_TEXT.sub(lambda found: _reference(found.group()), span)
        case doc.Code(text):
            return _code(doc.monospace(text))
        case doc.Number(text):
            return text
        case doc.Strong(content):
            return f"**{inline(content).strip()}**"
        case doc.Emphasis(content):
            return f"*{inline(content).strip()}*"
        case doc.Link(content, target):
            return f"[{inline(content)}]({target})"
        case doc.Figure(path, description):
            return f"![{inline(description)}]({path})"


def _code(text: str) -> str:
    if text == "-":
        return text
    if not set(text) & set("`|\\"):
        return f"`{text}`"
    # Inside a code span neither pipes (in tables) nor backticks can be escaped in a way that every forge agrees on.
    return f"<code>{_IN_CODE.sub(lambda found: _reference(found.group()), text)}</code>"


def _block(block: doc.Block, level: int) -> str:
    match block:
        case doc.Section():
            return _section(block, level)
        case doc.BulletList():
            return _list(block, "")
        case doc.Table():
            return _table(block)
        case doc.CodeBlock():
            return _fenced(block)
        case doc.Details(title, body):
            # Forges read a summary as HTML.
            return f"<details><summary>{inline(title)}</summary>\n\n{blocks(body, level)}\n\n</details>"
        case _:
            return _line(block)


def _line(content: doc.Inline) -> str:
    """A paragraph or an item, which begins no list by itself."""
    return _FIRST.sub(lambda found: found[1] + _reference(found[2]), inline(content).strip())


def _section(section: doc.Section, level: int) -> str:
    places = "".join(f'<a id="{place}"></a>' for place in section.places)
    heading = f"{'#' * level} {inline(section.title).strip()}"
    # A tag in a heading would change the anchor that a forge makes of it, which the contents link to.
    heading = f"{heading} {places}" if section.framed else f"{places}\n\n{heading}" if places else heading
    return "\n\n".join([heading, blocks(section.body, level + 1)])


def _list(items: doc.BulletList, indent: str) -> str:
    return "\n".join(
        _list(item, indent + "  ") if isinstance(item, doc.BulletList) else f"{indent}- {_line(item)}" for item in items.items
    )


def _table(table: doc.Table) -> str:
    rows = [[inline(cell).strip() for cell in row] for row in (table.headers, *table.rows)]
    fits = [str.rjust if side == "r" else str.ljust for side in table.align or "l" * len(table.headers)]
    columns = list(zip(*rows, strict=True))
    if sum(max(map(len, column)) for column in columns) > WIDEST_PADDED:
        # Not padded: every row would be as wide as the widest, and most of the file would be blanks.
        widths = [0] * len(columns)
        rule = f"| {' | '.join(fit(':', 3, '-') for fit in fits)} |"
    else:
        widths = [max(len(column[0]) + 2, *map(len, column)) for column in columns]
        rule = f"|{'|'.join(fit(':', width + 2, '-') for fit, width in zip(fits, widths, strict=True))}|"
    lines = [f"| {' | '.join(fit(cell, width) for fit, cell, width in zip(fits, row, widths, strict=True))} |" for row in rows]
    return "\n".join([lines[0], rule, *lines[1:]])


def _fenced(block: doc.CodeBlock) -> str:
    """The fence is longer than any run of backticks inside."""
    body = doc.visible(block.text, keep="\n\t").strip("\n")
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall(r"`+", body)), default=0))
    return f"{fence}{block.language}\n{body}\n{fence}"


def _reference(character: str) -> str:
    if character == "\u00a0":
        return "&nbsp;"
    reference = f"&#{ord(character)};"
    # Addresses are linked after references have been resolved; the empty comment keeps their two halves apart.
    return reference + NOTHING if character == "@" else reference
