"""Writes documents, and refuses what the format cannot say: it has no escape, so a refusal is the only honest answer."""

from __future__ import annotations

from collections.abc import Iterable

from .events import AnnotationEvent, Event
from .grammar import ARROW, CLOSE, OPEN, QUOTE, STRICT, WHITE_SPACE
from .parser import parse

Segment = str | tuple[str, str]
"""A piece of a document: a text, or the (query, value) of an annotation."""


class NotRepresentable(ValueError):
    """What was to be written cannot be said in the strict grammar. The message says what, and what can be done."""


def serialise_annotation(query: str, value: str) -> str:
    """One annotation. Raises NotRepresentable for U+0022, a control character or a lone surrogate, and for a blank query."""
    for name, string in (("query", query), ("value", value)):
        if QUOTE in string:
            raise NotRepresentable(
                f"found U+0022 in the {name} {string!r}; the format has no escape (a backslash would be read as one), "
                f"so replace it by another quotation mark, U+201C and U+201D for instance"
            )
        forbidden = next((character for character in string if not STRICT.allows(character)), None)
        if forbidden is not None:
            raise NotRepresentable(
                f"found U+{ord(forbidden):04X} in the {name} {string!r}; control characters are not allowed"
            )
        try:
            STRICT.refuse_unless_text(string)
        except ValueError as error:
            raise NotRepresentable(f"in the {name}: {error}") from None
    if WHITE_SPACE.issuperset(query):
        raise NotRepresentable(f"found the query {query!r}, expected at least one character that is not White_Space")
    return OPEN + query + ARROW + value + CLOSE


def serialise(segments: Iterable[Segment]) -> str:
    """The document that reads as ``segments``.

    Raises NotRepresentable where there is none: see `serialise_annotation`, and texts which by themselves or with their
    neighbours would read as an annotation. A text may end in an unfinished annotation only where the document ends.
    """
    wanted: list[tuple[int, int, str, str]] = []
    written: list[str] = []
    at = 0
    for segment in segments:
        raw = segment if isinstance(segment, str) else serialise_annotation(*segment)
        if not isinstance(segment, str):
            wanted.append((at, at + len(raw), *segment))
        written.append(raw)
        at += len(raw)
    document = "".join(written)
    try:
        events = parse(document)
    except ValueError as error:
        raise NotRepresentable(str(error)) from None
    found = [(e.span.start, e.span.end, e.query, e.value) for e in events if isinstance(e, AnnotationEvent)]
    if found != wanted:
        start, end, query, value = next(iter(set(found).symmetric_difference(wanted)))
        raise NotRepresentable(
            f"a text segment would be read as (part of) an annotation: written out, code points {start} to {end} concern "
            f"the annotation ({query!r}, {value!r}), which is {'lost' if (start, end, query, value) in wanted else 'forged'}"
        )
    return document


def segments_of(events: Iterable[Event]) -> list[Segment]:
    """What `serialise` takes, from what `parse` gives: an unfinished annotation is text."""
    return [(event.query, event.value) if isinstance(event, AnnotationEvent) else event.raw for event in events]
