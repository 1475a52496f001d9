"""What a parser hands out: texts, annotations, and at the end perhaps an unfinished annotation. They tile the document."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple


class Defect(Enum):
    """What was wrong with a recovered annotation; the value is the number of the diagnostic (D1 to D15)."""

    CURRENCY_FOR_BRACKET = 1
    MISSING_OPEN_BRACKET = 2
    WHITESPACE = 3
    QUOTE_VARIANT = 4
    ARROW_VARIANT = 5
    MISSING_PARENTHESIS = 6
    QUOTE_IN_QUERY = 7
    QUOTE_IN_VALUE = 8
    MISSING_CLOSE_BRACKET = 9
    MISSING_CLOSE_QUOTE = 10
    UNQUOTED_VALUE = 11
    NO_VALUE = 12
    EMPTY_VALUE = 13
    CONTROL_CHARACTER = 14
    MARKER_VARIANT = 15


def codes(defects: Iterable[Defect]) -> tuple[str, ...]:
    """The diagnostics as "D1" to "D15", in the order of their numbers."""
    return tuple(f"D{number}" for number in sorted(defect.value for defect in defects))


class Span(NamedTuple):
    """Where an event stands, as [start, end) in code points, in bytes of UTF-8 and in units of UTF-16.

    A lone surrogate counts three bytes and one unit.
    """

    code_points: tuple[int, int]
    utf8: tuple[int, int]
    utf16: tuple[int, int]

    @property
    def start(self) -> int:
        """First code point."""
        return self.code_points[0]

    @property
    def end(self) -> int:
        """One past the last code point."""
        return self.code_points[1]


class State(Enum):
    """The part of an annotation in which the document ends."""

    OPEN = "open"
    QUERY = "query"
    ARROW = "arrow"
    VALUE = "value"
    CLOSE = "close"


class Text(NamedTuple):
    """A run of text that belongs to no annotation: ``raw`` is the text, ``span`` where it stands."""

    raw: str
    span: Span


class Annotation(NamedTuple):
    """A query to fetch a statistic, and the statistic that the model wrote.

    ``query`` and ``value`` are what stands between the quotes, as it is. ``raw`` is the whole annotation, ``span`` where it
    stands.
    """

    query: str
    value: str
    raw: str
    span: Span


class Recovered(NamedTuple):
    """An annotation that only the lenient profile reads.

    ``value`` is None where there is no arrow. ``defects`` says what was wrong; the rest is as in `Annotation`.
    """

    query: str
    value: str | None
    raw: str
    span: Span
    defects: frozenset[Defect]


class Incomplete(NamedTuple):
    """The end of a document that stops inside an annotation.

    ``raw`` goes from its opener to the end, and ``state`` is the part that it stops in.
    ``query`` and ``value`` are what is there of them, None before their opening quotes.
    """

    raw: str
    span: Span
    state: State
    query: str | None
    value: str | None


Event = Text | Annotation | Recovered | Incomplete
"""What a parser hands out, in the order of the text; together they are the whole text."""


def coalesce(events: Iterable[Event]) -> list[Event]:
    """The same events with adjacent texts joined. In this form the events of a document do not depend on its chunks."""
    joined: list[Event] = []
    run: list[Text] = []
    for event in (*events, None):
        if isinstance(event, Text):
            run.append(event)
            continue
        if len(run) > 1:
            first, last = run[0].span, run[-1].span
            ends = ((first.code_points, last.code_points), (first.utf8, last.utf8), (first.utf16, last.utf16))
            joined.append(Text("".join(text.raw for text in run), Span(*((start[0], end[1]) for start, end in ends))))
        else:
            joined += run
        run.clear()
        if event is not None:
            joined.append(event)
    return joined
