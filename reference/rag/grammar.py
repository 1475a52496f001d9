"""A RAG answer is a list of questions, one a line: the strict reading, the official reading, and the line's surface form.

The format (DataGemma, arXiv:2409.13741, page 9 and appendix B) asks for questions "one per line without any numbering or
bullet", at most 25, and "an empty response" where there are none. The strict reading holds it to that::

    list  = [ line *( eol line ) [ eol ] ]
    eol   = LF / CR LF                      ; nothing else separates lines: not VT, FF, U+0085, U+2028, nor CR alone
    line  = *ws [ query ] *ws               ; ws = the Unicode property White_Space
    query = a text without control characters (C0, DEL) that begins and ends with a character that is not ws,
            does not begin with a list marker, and differs from every query before it; at most 25 in all
    list-marker = ( "-" / "*" / "+" / U+2022 / 1*2DIGIT ("." / ")") / "(" 1*2DIGIT ")" ) ( ws / end of line )

A strict reader returns the queries in the order of the text. It never alters a line but for the white space around it:
what is not a query is left out and reported, so that no mistake of a model is silently repaired.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from reference.rig.grammar import STRICT, WHITE_SPACE

EXAMPLE = (
    "What is the population of Sunnyvale, CA?\n"
    "What is the percentage of females in Sunnyvale, CA?\n"
    "How has the median age changed over time in Sunnyvale, CA?\n"
)
"""A short answer in the format; the first case of everything about RAG."""

MAX_QUERIES = 25
"""As many queries as the prompt asks for at most, and as the official reader keeps."""

_BLANKS = "".join(sorted(WHITE_SPACE))
_LIST_MARKER = re.compile(rf"(?:[-*+\u2022]|[0-9]{{1,2}}[.)]|\([0-9]{{1,2}}\))(?:[{_BLANKS}]|\Z)")


class RagDefect(Enum):
    """Why a line of an answer departs from the format."""

    CONTROL_CHARACTER = "control-character"
    """Left out: the line holds a C0 control character or DEL inside."""
    LIST_MARKER = "list-marker"
    """Left out: the line begins with a bullet or a number."""
    DUPLICATE = "duplicate"
    """Left out: the same query, character by character, was returned before."""
    TOO_MANY = "too-many"
    """Left out: 25 queries were returned before."""
    BLANK_LINE = "blank-line"
    """Nothing to leave out: the line is empty or white space. The end of a last line that ended in eol is no line."""
    SURROUNDING_SPACE = "surrounding-space"
    """The query is returned, without the white space that stood around it."""


@dataclass(frozen=True)
class Violation:
    """One departure from the format. ``line`` counts from 1; ``text`` is the line without its end."""

    line: int
    defect: RagDefect
    text: str


@dataclass(frozen=True)
class QueryList:
    """What a strict reader returns, and what it reports. An answer without violations is well formed."""

    queries: tuple[str, ...]
    violations: tuple[Violation, ...]

    @property
    def well_formed(self) -> bool:
        """Whether the answer keeps to the format."""
        return not self.violations


def parse(text: str) -> QueryList:
    """Read an answer strictly. Every text has a reading; ValueError for a lone surrogate, which no text holds."""
    STRICT.refuse_unless_text(text)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    queries: dict[str, None] = {}
    violations = []
    for number, with_return in enumerate(lines, start=1):
        # At the end of the text there is no LF for a CR to belong to; it is white space around the query then.
        line = with_return.removesuffix("\r") if number < len(lines) or text.endswith("\n") else with_return
        query = line.strip(_BLANKS)
        defect = _defect_of(query, queries)
        if defect is None:
            queries[query] = None
            defect = RagDefect.SURROUNDING_SPACE if query != line else None
        if defect is not None:
            violations.append(Violation(number, defect, line))
    return QueryList(tuple(queries), tuple(violations))


def _defect_of(query: str, before: dict[str, None]) -> RagDefect | None:
    if not query:
        return RagDefect.BLANK_LINE
    if not all(map(STRICT.allows, query)):
        return RagDefect.CONTROL_CHARACTER
    if _LIST_MARKER.match(query):
        return RagDefect.LIST_MARKER
    if query in before:
        return RagDefect.DUPLICATE
    if len(before) >= MAX_QUERIES:
        return RagDefect.TOO_MANY
    return None
