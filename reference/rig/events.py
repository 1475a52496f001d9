"""A parsed document is a sequence of events that tile it: texts, annotations, and at its end perhaps an unfinished one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

UNITS = ("code points", "utf8", "utf16")
"""The units in which offsets are counted in the languages that parsers are written in."""


def length_in(unit: str, text: str) -> int:
    """How many ``unit`` (one of `UNITS`) the text takes. A lone surrogate counts 3 bytes (as in WTF-8) and one UTF-16 unit."""
    if unit == "code points":
        return len(text)
    if unit == "utf8":
        return len(text.encode("utf-8", "surrogatepass"))
    if unit == "utf16":
        return len(text.encode("utf-16-le", "surrogatepass")) // 2
    raise ValueError(f"found the unit {unit!r}, expected one of {', '.join(UNITS)}")


def to_code_points(text: str, offsets: Sequence[int], unit: str) -> list[int]:
    """Convert ``offsets`` counted in ``unit`` into code points; ValueError for one outside the text or inside a character."""
    if unit == "code points":
        return list(offsets)
    position_of = {0: 0}
    at = 0
    for index, character in enumerate(text):
        at += length_in(unit, character) if character > "\x7f" else 1
        position_of[at] = index + 1
    for offset in offsets:
        if offset not in position_of:
            inside = "inside a character" if 0 <= offset <= at else f"outside the text, which has {at}"
            raise ValueError(f"the offset {offset} ({unit}) lies {inside}")
    return [position_of[offset] for offset in offsets]


@dataclass(frozen=True)
class EventSpan:
    """Where an event stands, as [start, end) in each of the three units."""

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


class AnnotationPart(Enum):
    """How far a candidate has come: inside which part of an annotation the next character falls."""

    OPEN = "open"
    QUERY = "query"
    ARROW = "arrow"
    VALUE = "value"
    CLOSE = "close"


@dataclass(frozen=True)
class TextEvent:
    """A run of text that belongs to no annotation."""

    raw: str
    span: EventSpan


@dataclass(frozen=True)
class AnnotationEvent:
    """A query to fetch a statistic, and the statistic that the model wrote."""

    query: str
    value: str
    raw: str
    span: EventSpan


@dataclass(frozen=True)
class IncompleteEvent:
    """The end of the input, where it could still have become an annotation. ``state`` is the part that was cut.

    ``query`` and ``value`` hold what has arrived of each; None before its opening quote.
    """

    raw: str
    span: EventSpan
    state: AnnotationPart
    query: str | None
    value: str | None


Event = TextEvent | AnnotationEvent | IncompleteEvent


def coalesce(events: Iterable[Event]) -> list[Event]:
    """The same events with adjacent texts joined: the form in which differently chunked readings of a document are equal."""
    joined: list[Event] = []
    run: list[TextEvent] = []

    def end_run() -> None:
        if run:
            first, last = run[0].span, run[-1].span
            span = EventSpan(
                (first.code_points[0], last.code_points[1]),
                (first.utf8[0], last.utf8[1]),
                (first.utf16[0], last.utf16[1]),
            )
            # One join per run: adding pairwise copies the run once per piece, which is quadratic.
            joined.append(TextEvent("".join(text.raw for text in run), span))
            run.clear()

    for event in events:
        if isinstance(event, TextEvent):
            run.append(event)
        else:
            end_run()
            joined.append(event)
    end_run()
    return joined
