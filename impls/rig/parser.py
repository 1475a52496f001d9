r"""The parser to use: strict, official and lenient; a whole document, a stream of chunks, or a file of any size.

    from impls.rig.parser import parse, StreamingParser, diagnose

    for event in parse(text):                         # or parse(text, "official"), parse(text, "lenient")
        match event:
            case Annotation(query, value): ...
            case Text(raw): ...
            case Incomplete(state=state): ...         # the document ends inside an annotation

    parser = StreamingParser()                        # one document as it arrives
    for token in tokens:
        for event in parser.feed(token): ...
    for event in parser.close(): ...                  # or parser.cancel(), at any time

    for diagnostic in diagnose(text):
        print(diagnostic.render("answer.txt"))        # line, column, caret, what was expected, what to write

Events tile the document: their ``raw`` joined is the text, spans count code points, bytes of UTF-8 and units of UTF-16. The
work is proportional to the text whatever it holds, nothing recurses, and a stream holds back no more than can still
become an annotation: a document of any size is read in the memory that one annotation takes.

The lenient profile gives a `Recovered` where it mends something; its ``defects`` are the diagnostics D1 to D15 of the
specification. The readable law is `reference.rig`; what is here is held to it, event by event, and is what is fast.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from impls.rig import strict
from impls.rig.diagnostics import Diagnostic, diagnose
from impls.rig.lenient import LenientStream
from reference import rig
from reference.rig import DEFAULT_MAX_CANDIDATE, Annotation, Incomplete, Span, State, Text, length_in
from reference.rig import lenient as _law
from reference.rig.lenient import Defect

__all__ = [
    "LENIENT", "PROFILES", "Annotation", "Defect", "Diagnostic", "Event", "Incomplete", "Recovered", "Span", "State",
    "StreamingParser", "Text", "diagnose", "find_annotations", "parse", "read", "read_file",
]  # fmt: skip

LENIENT = "lenient"
PROFILES = ("strict", "official", LENIENT)

CHUNK = 1 << 16
"""Characters that `read_file` reads at a time."""


@dataclass(frozen=True)
class Recovered:
    """An annotation that only a lenient reader reads. ``value`` is None where there is no arrow."""

    query: str
    value: str | None
    raw: str
    span: Span
    defects: frozenset[Defect]


Event = Text | Annotation | Recovered | Incomplete


class StreamingParser:
    """``feed(chunk)`` as often as there is a chunk, then ``close()``: both return the events that became certain.

    After `reference.rig.coalesce` the events do not depend on the chunks. ``max_candidate`` bounds what is held back for one
    annotation: a longer one is read as text; None waits for ever. ``cancel()`` may be called at any time: what is held back
    is dropped. ValueError for a lone surrogate in strict and lenient, and for use after the end.
    """

    def __init__(self, profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> None:
        if profile not in PROFILES:
            raise ValueError(f"found the profile {profile!r}, expected one of {', '.join(PROFILES)}")
        self.profile = profile
        self._reader: strict.Stream | LenientStream = (
            LenientStream(max_candidate) if profile == LENIENT else strict.Stream(rig.PROFILES[profile], max_candidate)
        )
        self._at = (0, 0, 0)
        self._window = ""
        """What was received and not yet handed out; only the lenient reader needs it, for the text of what it recovers."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._reader.held_back

    def feed(self, chunk: str) -> list[Event]:
        """Read one more chunk."""
        if self.profile == LENIENT:
            self._window += chunk
        return self._events(self._reader.feed(chunk))

    def close(self) -> list[Event]:
        """End the document."""
        held = self._reader.held_back if self.profile != LENIENT else 0
        events = self._events(self._reader.close())
        last = events[-1] if events else None
        if held and isinstance(last, Text):
            events[-1] = _incomplete(last)
        return events

    def cancel(self) -> None:
        """Take no more, and forget what is held back."""
        self._reader.cancel()
        self._window = ""

    def _events(self, items: Iterable[strict.Item | _law.Recovered]) -> list[Event]:
        events: list[Event] = []
        begun = self._at[0]
        for item in items:
            if isinstance(item, str):
                events.append(Text(item, self._span(item)))
            elif isinstance(item, tuple):
                query, value, _, _ = item
                events.append(Annotation(query, value, *self._placed(item)))
            else:
                raw = self._window[item.start - begun : item.end - begun]
                span = self._span(raw)
                if item.defects or item.value is None:
                    events.append(Recovered(item.query, item.value, raw, span, item.defects))
                else:
                    events.append(Annotation(item.query, item.value, raw, span))
        self._window = self._window[self._at[0] - begun :]
        return events

    def _placed(self, found: strict.Found) -> tuple[str, Span]:
        query, value, start, end = found
        raw = rig.OPEN + query + rig.ARROW + value + rig.CLOSE
        # The official profile does without the bracket.
        raw = raw[: end - start]
        return raw, self._span(raw)

    def _span(self, raw: str) -> Span:
        points, utf8, utf16 = self._at
        length = len(raw)
        if raw.isascii():
            self._at = points + length, utf8 + length, utf16 + length
        else:
            self._at = points + length, utf8 + length_in("utf8", raw), utf16 + length_in("utf16", raw)
        return Span((points, self._at[0]), (utf8, self._at[1]), (utf16, self._at[2]))


def _incomplete(text: Text) -> Incomplete:
    parts = text.raw.split('"')
    state = (State.OPEN, State.QUERY, State.ARROW, State.VALUE, State.CLOSE)[len(parts) - 1]
    query = parts[1] if len(parts) > 1 else None
    return Incomplete(text.raw, text.span, state, query, parts[3] if len(parts) > 3 else None)


def parse(text: str, profile: str = "strict", max_candidate: int | None = None) -> list[Event]:
    """The events of a whole document. No two texts are adjacent, none is empty."""
    parser = StreamingParser(profile, max_candidate)
    events = parser.feed(text) + parser.close()
    return events if profile != LENIENT else _coalesced(events)


def find_annotations(text: str, profile: str = "strict") -> list[Annotation | Recovered]:
    """The annotations of a document, in its order."""
    return [event for event in parse(text, profile) if isinstance(event, (Annotation, Recovered))]


def read(chunks: Iterable[str], profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> Iterator[Event]:
    """The events of a document that comes in chunks, each as soon as it is certain. Close the iterator to stop early."""
    parser = StreamingParser(profile, max_candidate)
    try:
        for chunk in chunks:
            yield from parser.feed(chunk)
        yield from parser.close()
    finally:
        parser.cancel()


def read_file(path: str | Path, profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> Iterator[Event]:
    """The events of a UTF-8 file of any size, in bounded memory. UnicodeDecodeError where it is not UTF-8."""
    with open(path, encoding="utf-8", newline="") as file:
        yield from read(iter(lambda: file.read(CHUNK), ""), profile, max_candidate)


def _coalesced(events: list[Event]) -> list[Event]:
    joined: list[Event] = []
    run: list[Text] = []
    for event in [*events, None]:
        if isinstance(event, Text):
            run.append(event)
            continue
        joined += rig.coalesce(run)
        run.clear()
        if event is not None:
            joined.append(event)
    return joined
