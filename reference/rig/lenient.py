"""The lenient profile recovers what was meant as an annotation, and says by number what was wrong with each.

No implementation is held to it; it is for those who read what models really write. Strict annotations come first, with the
spans that they have in the strict profile and without defects. In the text between them every opener, or what Markdown, a
display or an annotator made of one, is tried once, in a region that ends at the next opener, at a blank line, or after 4096
characters. That bound keeps the work linear, and keeps a missing quote from swallowing the next annotation.

The defects and their numbers follow what was seen: paper appendix A (D1), answers wrapped at 80 columns (D3, D14), rendered
Markdown (D5, D15), truncated or repeated sampling (D9, D10).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from .events import AnnotationEvent, IncompleteEvent
from .grammar import OPEN, STRICT, WHITE_SPACE
from .parser import parse

LONGEST_REGION = 4096
"""Code points after an opener in which the rest of its annotation is looked for."""


class RigDefect(Enum):
    """What was wrong with a recovered annotation. The value is the number in its published name (D1 to D15)."""

    CURRENCY_FOR_BRACKET = 1
    """``$`` stands where ``[`` should; it belongs to the annotation."""
    MISSING_OPEN_BRACKET = 2
    WHITESPACE = 3
    """White space where none should be, or none where one space should be; at most one line break and 8 other characters."""
    QUOTE_VARIANT = 4
    ARROW_VARIANT = 5
    MISSING_PARENTHESIS = 6
    QUOTE_IN_QUERY = 7
    """The query ends at the first quote with the arrow after it."""
    QUOTE_IN_VALUE = 8
    """The value ends at the first quote with the bracket after it."""
    MISSING_CLOSE_BRACKET = 9
    MISSING_CLOSE_QUOTE = 10
    """The value ends at the bracket, on the same line."""
    UNQUOTED_VALUE = 11
    NO_VALUE = 12
    """There is a query and no arrow; the value is None."""
    EMPTY_VALUE = 13
    CONTROL_CHARACTER = 14
    MARKER_VARIANT = 15


@dataclass(frozen=True)
class RecoveredAnnotation:
    """An annotation as it was meant. ``start`` and ``end`` count code points; ``defects`` is empty for a strict one."""

    query: str
    value: str | None
    start: int
    end: int
    defects: frozenset[RigDefect]


@dataclass(frozen=True)
class LostOpener:
    """An opener, or the beginning of one, that nothing could be read behind. ``truncated``: because the text ends there."""

    start: int
    end: int
    truncated: bool


_GAP = r"[ \t\u00a0]{0,8}(?:\r?\n[ \t\u00a0]{0,8})?"
_CLOSERS = {
    '"': '["\u201d]', "\u201c": '["\u201c\u201d]', "\u201d": '["\u201d]', "\u201e": "[\u201c\u201d]", "\u00ab": "\u00bb",
    "\u00bb": "\u00ab", "'": "['\u2019]", "\u2018": "['\u2019]", "\u2019": "['\u2019]", "`": "[`']", '\\"': r"\\\"",
    "&quot;": "&quot;",
}  # fmt: skip
"""The marks that open a string, each with a pattern of those that close it."""

_QUOTE = "|".join(re.escape(mark) for mark in sorted(_CLOSERS, key=len, reverse=True))
_OPENER = re.compile(
    rf"(?:(?P<head>[\[$])(?P<gap>{_GAP}))?(?P<marker>__[Dd][Cc]__|\\_\\_DC\\_\\_|\*\*DC\*\*|(?(head)DC|(?!)))"
    rf"(?P<gap2>{_GAP})\((?P<gap3>{_GAP})(?P<quote>{_QUOTE})"
)
_ARROW = r"-->|--->|->|=>|==>|\u2192|\u2013>|\u2014>|--&gt;|-&gt;"
_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_UNQUOTED = re.compile(r"[^\]\r\n]*(?=\])")
_CLOSE = re.compile(rf"(?P<gap>{_GAP})\]")


def recover(text: str) -> list[RecoveredAnnotation]:
    """Every annotation that can be read out of the text, in its order. ValueError for a lone surrogate."""
    return [attempt for attempt in attempts(text) if isinstance(attempt, RecoveredAnnotation)]


def attempts(text: str) -> Iterator[RecoveredAnnotation | LostOpener]:
    """What `recover` finds, and beside it each opener that nothing could be read behind. ValueError for a lone surrogate."""
    for event in parse(text):
        start, end = event.span.start, event.span.end
        if isinstance(event, AnnotationEvent):
            yield RecoveredAnnotation(event.query, event.value, start, end, frozenset())
        else:
            yield from _attempts_between(text, start, end, isinstance(event, IncompleteEvent))


def _attempts_between(text: str, start: int, end: int, incomplete: bool) -> Iterator[RecoveredAnnotation | LostOpener]:
    """The attempts in a part of a text that holds no strict annotation; ``incomplete``: whether one was cut at its end."""
    openers = list(_OPENER.finditer(text, start, end))
    if incomplete and not openers:
        yield LostOpener(start, end, True)
    for opener, following in itertools.zip_longest(openers, openers[1:]):
        region_end = min(following.start() if following else end, opener.end() + LONGEST_REGION)
        blank = _BLANK_LINE.search(text, opener.end(), region_end)
        annotation = _read_behind(text, opener, blank.start() if blank else region_end)
        if annotation is not None:
            yield annotation
        elif incomplete:
            yield LostOpener(opener.start(), opener.end(), following is None)
        else:
            # Another opener than the strict one has no state that could say it; its string must at least be open still.
            open_still = opener[0] != OPEN and region_end == len(text) and not blank
            closed = re.compile(_CLOSERS[opener["quote"]]).search(text, opener.end(), region_end)
            yield LostOpener(opener.start(), opener.end(), open_still and not closed)


def _read_behind(text: str, opener: re.Match[str], end: int) -> RecoveredAnnotation | None:
    """The rest of an annotation behind an opener; None where there is none in the region."""
    closer = _CLOSERS[opener["quote"]]
    query_end = re.compile(
        rf"(?P<quote>{closer})(?:(?P<gap>{_GAP})(?P<parenthesis>\))?(?P<before>{_GAP})(?P<arrow>{_ARROW})(?P<after>{_GAP})"
        rf"|(?P<none>{_GAP}\){_GAP}\]))"
    ).search(text, opener.end(), end)
    if query_end is None:
        return None
    query = text[opener.end() : query_end.start()]
    if WHITE_SPACE.issuperset(query):
        return None
    defects = _defects_of_opener(opener)
    if re.search(closer, query):
        defects.add(RigDefect.QUOTE_IN_QUERY)
    if query_end["none"] is not None:
        if query_end["none"] != ")]":
            defects.add(RigDefect.WHITESPACE)
        return _recovered(query, None, opener.start(), query_end.end(), defects | {RigDefect.NO_VALUE})
    if query_end["parenthesis"] is None:
        defects.add(RigDefect.MISSING_PARENTHESIS)
    # Without the parenthesis the one space before the arrow is all that stands there.
    before = query_end["before"] if query_end["parenthesis"] else query_end["gap"] + query_end["before"]
    if (query_end["parenthesis"] and query_end["gap"]) or (before, query_end["after"]) != (" ", " "):
        defects.add(RigDefect.WHITESPACE)
    if query_end["arrow"] != "-->":
        defects.add(RigDefect.ARROW_VARIANT)
    _add_quote_variant(query_end["quote"], defects)
    read = _read_value(text, query_end.end(), end, defects)
    return None if read is None else _recovered(query, read[0], opener.start(), read[1], defects)


def _defects_of_opener(opener: re.Match[str]) -> set[RigDefect]:
    defects: set[RigDefect] = set()
    if opener["marker"] != "__DC__":
        defects.add(RigDefect.MARKER_VARIANT)
    _add_quote_variant(opener["quote"], defects)
    if opener["gap"] or opener["gap2"] or opener["gap3"]:
        defects.add(RigDefect.WHITESPACE)
    if opener["head"] == "$":
        defects |= {RigDefect.CURRENCY_FOR_BRACKET, RigDefect.MISSING_OPEN_BRACKET}
    elif opener["head"] is None:
        defects.add(RigDefect.MISSING_OPEN_BRACKET)
    return defects


def _read_value(text: str, start: int, end: int, defects: set[RigDefect]) -> tuple[str, int] | None:
    """(value, end of the annotation), adding to ``defects``; the first way of these that reads one."""
    quote = re.compile(_QUOTE).match(text, start, end)
    if quote is None:
        unquoted = _UNQUOTED.match(text, start, end)
        if unquoted is None:
            return None
        defects.add(RigDefect.UNQUOTED_VALUE)
        return unquoted[0].strip(), unquoted.end() + 1
    _add_quote_variant(quote[0], defects)
    closer = _CLOSERS[quote[0]]
    closed = re.compile(rf"(?P<quote>{closer})(?P<gap>{_GAP})\]").search(text, quote.end(), end)
    if closed is not None:
        value = text[quote.end() : closed.start()]
        if closed["gap"]:
            defects.add(RigDefect.WHITESPACE)
        _add_quote_variant(closed["quote"], defects)
        if re.search(closer, value):
            defects.add(RigDefect.QUOTE_IN_VALUE)
        return value, closed.end()
    ended = re.compile(closer).search(text, quote.end(), end)
    if ended is not None:
        defects.add(RigDefect.MISSING_CLOSE_BRACKET)
        _add_quote_variant(ended[0], defects)
        return text[quote.end() : ended.start()], ended.end()
    cut = _UNQUOTED.match(text, quote.end(), end)
    if cut is None:
        return None
    defects.add(RigDefect.MISSING_CLOSE_QUOTE)
    return cut[0], cut.end() + 1


def _add_quote_variant(quote: str, defects: set[RigDefect]) -> None:
    if quote != '"':
        defects.add(RigDefect.QUOTE_VARIANT)


def _recovered(query: str, value: str | None, start: int, end: int, defects: set[RigDefect]) -> RecoveredAnnotation:
    if value == "":
        defects = defects | {RigDefect.EMPTY_VALUE}
    if not all(map(STRICT.allows, query + (value or ""))):
        defects = defects | {RigDefect.CONTROL_CHARACTER}
    return RecoveredAnnotation(query, value, start, end, frozenset(defects))
