"""A report as data: sections of paragraphs, lists, tables, commands and figures, for `markdown` and `web.html` to write out.

A string is always text: whatever a record says, no renderer takes it for markup.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeAlias

_HIDDEN_CATEGORIES = ("Cc", "Cf", "Cs", "Co", "Zl", "Zp")
"""Characters that are not seen, or that reorder what is seen (bidirectional overrides): written out as escapes."""
LONGEST = 1000
"""Characters of one record string that are shown; the records hold the rest."""
_NUMBERS = re.compile(r"[\w.,×µ%\[\] +-]*")


@dataclass(frozen=True)
class Code:
    """Monospace, on one line; a dash where the text is empty."""

    text: str


@dataclass(frozen=True)
class Number:
    """Numbers and intervals as `numbers` writes them: nothing in them needs an escape."""

    text: str

    def __post_init__(self) -> None:
        if not _NUMBERS.fullmatch(self.text) or "_" in self.text:
            raise ValueError(f"expected numbers and their units, found {self.text!r}")


@dataclass(frozen=True)
class Strong:
    content: Inline


@dataclass(frozen=True)
class Emphasis:
    content: Inline


@dataclass(frozen=True)
class Link:
    """``target`` is a path, a `page` or a ``#place``, and never a record's string. Paths begin at the report's folder."""

    content: Inline
    target: str


@dataclass(frozen=True)
class Figure:
    """A plot, and the same in words for those who cannot see it."""

    path: str
    description: Inline
    """A tuple of sentences where it is long: what is cut short as too long is a sentence, not the whole."""


Span: TypeAlias = str | Code | Number | Strong | Emphasis | Link | Figure
Inline: TypeAlias = "Span | tuple[Inline, ...]"
"""The content of one line. By itself, as a block, it is a paragraph."""


@dataclass(frozen=True)
class BulletList:
    """A list among the items belongs to the item before it."""

    items: Sequence[Inline | BulletList]


@dataclass(frozen=True)
class Table:
    """``align`` holds ``l`` or ``r`` per column; all are ``l`` without it."""

    headers: Sequence[Inline]
    rows: Sequence[Sequence[Inline]]
    align: str = ""
    signs: bool = False
    """Whether each cell holds one sign under a name that is written upright, as narrow as the screen is."""

    def __post_init__(self) -> None:
        width = len(self.headers)
        if len(self.align or self.headers) != width or any(len(row) != width for row in self.rows):
            raise ValueError(f"a table of {width} columns got {len(self.align)} alignments or a row of another width")


@dataclass(frozen=True)
class CodeBlock:
    """Commands, to be copied."""

    text: str
    language: str = "sh"


@dataclass(frozen=True)
class Details:
    """A part that is folded until the reader opens it."""

    title: str
    body: Sequence[Block]


@dataclass(frozen=True)
class Section:
    """A heading and what is under it. ``places`` are further names by which links find it."""

    title: Inline
    body: Sequence[Block]
    places: Sequence[str] = ()
    framed: bool = False
    """Whether it is one finding, which the page sets off from its neighbours."""


Block: TypeAlias = "Inline | BulletList | Table | CodeBlock | Details | Section"


FRONT = "README"
"""The path of the first page."""


@dataclass(frozen=True)
class Document:
    """One page. ``path`` is that of its file without the ending, ``links`` lead to the other pages."""

    title: str
    lead: Inline
    sections: Sequence[Section]
    path: str = FRONT
    links: Sequence[Link] = ()


def page(path: str, place: str = "") -> str:
    """The target of a link to a page of the report, and a place on it."""
    return f"{path}.page{f'#{place}' if place else ''}"


def located(document: Document, ending: str, front: str = FRONT) -> Document:
    """The document with its links as they are written from where it lies, to pages whose files have this ending."""
    up = "../" * document.path.count("/")

    def target(link: str) -> str:
        path, mark, place = link.partition("#")
        if not path or (path == page(document.path) and place):
            return f"{mark}{place}"
        name = path.removesuffix(".page")
        if name == path:
            return f"{up}{link}"
        return f"{up}{front if name == FRONT else name}{ending}{mark}{place}"

    def moved(part: Any) -> Any:
        match part:
            case Link(content, to):
                return Link(moved(content), target(to))
            case Figure(path, description):
                return Figure(up + path, description)
            case list() | tuple():
                return type(part)(map(moved, part))
            case _ if is_dataclass(part) and not isinstance(part, type):
                return replace(part, **{field.name: moved(getattr(part, field.name)) for field in fields(part)})
        return part

    moved_document: Document = moved(document)
    return moved_document


def inline(template: str, *parts: Inline) -> Inline:
    """The template, which no record string is part of, with each ``{}`` replaced by the next of the parts.

    >>> inline("{} is {}.", Code("torch"), "fast")
    ('', Code(text='torch'), ' is ', 'fast', '.')
    """
    first, *others = template.split("{}")
    return (first, *(piece for pair in zip(parts, others, strict=True) for piece in pair))


def joined(separator: str, parts: Iterable[Inline]) -> Inline:
    """Join contents with a separator, as ``str.join`` joins strings."""
    return tuple(piece for part in parts for piece in (separator, part))[1:]


def series(parts: Iterable[Inline], last: str = "and") -> Inline:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(parts)
    return (joined(", ", items[:-1]), f" {last} ", items[-1]) if len(items) > 1 else tuple(items)


def spans(content: Inline) -> list[Span]:
    """The content as a flat list, its texts cleaned and neighbouring ones joined: what looks like markup may span two."""
    found: list[Span] = []
    for span in _flat(content):
        before = found[-1] if found else None
        if isinstance(span, str) and isinstance(before, str):
            found[-1] = before + span
        else:
            found.append(span)
    return found


def sentences(text: str) -> Inline:
    """A long text as a tuple of its sentences."""
    return tuple(re.split(r"(?<=\. )", text))


def readable(content: Inline) -> str:
    """The text that a reader sees."""
    return "".join(_readable(span) for span in spans(content)).strip()


def slug(text: str) -> str:
    """The id of a heading, as long as no other has it."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "section"


def visible(text: str, keep: str = "") -> str:
    """The text with every hidden character written as an escape (``\\n``, ``\\u202e``); those in ``keep`` stay."""
    return "".join(
        character
        if character in keep or unicodedata.category(character) not in _HIDDEN_CATEGORIES
        else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def monospace(text: str) -> str:
    """The text of a `Code` as it is shown."""
    return _shortened(visible(text.strip())) or "-"


def _flat(content: Inline) -> Iterator[Span]:
    if isinstance(content, tuple):
        for part in content:
            yield from _flat(part)
    else:
        yield _shortened(visible(re.sub(r"[ \t\r\n]+", " ", content))) if isinstance(content, str) else content


def _readable(span: Span) -> str:
    match span:
        case str():
            return span
        case Code(text):
            return monospace(text)
        case Number(text):
            return text
        case Figure():
            return ""
        case Strong(content) | Emphasis(content) | Link(content):
            return readable(content)


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)"
