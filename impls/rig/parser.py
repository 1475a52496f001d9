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

Events tile the document: their ``raw`` joined is the text. Spans count code points, bytes of UTF-8 and units of UTF-16. The
work is proportional to the text whatever it holds, nothing recurses, and a stream holds back no more than can still become an
annotation: a document of any size is read in the memory that one annotation takes.

The lenient profile gives a `Recovered` where it mends something; its ``defects`` are the diagnostics D1 to D15 of the
specification.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from impls.rig.diagnostics import Diagnostic, diagnose
from impls.rig.encoding import LOOKED_AT, other_content
from impls.rig.events import Annotation, Defect, Event, Incomplete, Recovered, Span, State, Text, coalesce
from impls.rig.grammar import ARROW, CLOSE, DEFAULT_MAX_CANDIDATE, OPEN, refuse_surrogates, require_text
from impls.rig.lenient import LenientItem, LenientStream
from impls.rig.strict import GRAMMARS, OFFICIAL, STRICT, StreamItem, StrictStream

__all__ = [
    "LENIENT", "PROFILES", "Annotation", "Defect", "Diagnostic", "Event", "Incomplete", "Recovered", "Span", "State",
    "StreamingParser", "Text", "coalesce", "diagnose", "find_annotations", "parse", "read", "read_file",
]  # fmt: skip

LENIENT = "lenient"
PROFILES = (STRICT, OFFICIAL, LENIENT)
"""The ways to read a document; docs/rig-specification.md defines each."""

CHUNK = 1 << 16
"""Characters that `read_file` reads at a time."""


class StreamingParser:
    """``feed(chunk)`` as often as there is a chunk, then ``close()``: both return the events that became certain.

    After `coalesce` the events do not depend on the chunks. ``max_candidate`` bounds what is held back for one annotation: a
    longer one is read as text; None waits for ever. ``cancel()`` may be called at any time: what is held back is dropped.
    ValueError for a lone surrogate in strict and lenient, and for use after the end.
    """

    def __init__(self, profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> None:
        if profile not in PROFILES:
            raise ValueError(f"found the profile {profile!r}, expected one of {', '.join(PROFILES)}")
        self.profile = profile
        self._reader: StrictStream | LenientStream = (
            LenientStream(max_candidate) if profile == LENIENT else StrictStream(profile, max_candidate)
        )
        self._at = (0, 0, 0)
        self._window: list[str] = []
        """The chunks not yet handed out; only the lenient reader needs them, for the text of what it recovers."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._reader.held_back

    def feed(self, chunk: str) -> list[Event]:
        """Read one more chunk."""
        items = self._reader.feed(chunk)
        if self.profile == LENIENT:
            self._window.append(chunk)
        return self._events(items) if items else []

    def feed_whole(self, text: str) -> list[Event]:
        """Read all of a document but for its close, strictly or officially: as `feed`, without the bookkeeping of a stream."""
        grammar = GRAMMARS[self.profile]
        if not grammar.surrogates_allowed:
            refuse_surrogates(text)
        events: list[Event] = []
        # Called as it is, since the __new__ that NamedTuple makes takes three times as long.
        new, add, is_ascii = tuple.__new__, events.append, text.isascii()
        at = 0
        for match in grammar.whole.finditer(text):
            start, end = place = match.span()
            if at < start:
                before, raw = (at, start), text[at:start]
                add(new(Text, (raw, new(Span, (before, before, before)) if is_ascii else self._span(raw))))
            raw = text[start:end]
            add(new(Annotation, (*match.groups(), raw, new(Span, (place, place, place)) if is_ascii else self._span(raw))))
            at = end
        if is_ascii:
            self._at = (at, at, at)
        return events + self.feed(text[at:])

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
        self._window = []

    def _events(self, items: Iterable[StreamItem | LenientItem]) -> list[Event]:
        events: list[Event] = []
        begun = self._at[0]
        window = "".join(self._window)
        for item in items:
            if isinstance(item, str):
                events.append(Text(item, self._span(item)))
            elif len(item) == 4:
                query, value, start, end = item
                # The official profile does without the bracket.
                raw = (OPEN + query + ARROW + value + CLOSE)[: end - start]
                events.append(Annotation(query, value, raw, self._span(raw)))
            else:
                mended, meant, start, end, defects = item
                raw = window[start - begun : end - begun]
                span = self._span(raw)
                if defects or meant is None:
                    events.append(Recovered(mended, meant, raw, span, defects))
                else:
                    events.append(Annotation(mended, meant, raw, span))
        self._window = [window[self._at[0] - begun :]]
        return events

    def _span(self, raw: str) -> Span:
        points, utf8, utf16 = self._at
        length = len(raw)
        if raw.isascii():
            self._at = points + length, utf8 + length, utf16 + length
        else:
            bytes_, units = (len(raw.encode(codec, "surrogatepass")) for codec in ("utf-8", "utf-16-le"))
            self._at = points + length, utf8 + bytes_, utf16 + units // 2
        return Span((points, self._at[0]), (utf8, self._at[1]), (utf16, self._at[2]))


def _incomplete(text: Text) -> Incomplete:
    parts = text.raw.split('"')
    state = (State.OPEN, State.QUERY, State.ARROW, State.VALUE, State.CLOSE)[len(parts) - 1]
    query = parts[1] if len(parts) > 1 else None
    return Incomplete(text.raw, text.span, state, query, parts[3] if len(parts) > 3 else None)


def parse(text: str, profile: str = "strict", max_candidate: int | None = None) -> list[Event]:
    """The events of a whole document. No two texts are adjacent, none is empty.

    ``profile`` is one of `PROFILES`. ``max_candidate`` is the most code points of one annotation, None for no limit.
    TypeError where ``text`` is no str, ValueError for another profile.
    """
    require_text(text)
    parser = StreamingParser(profile, max_candidate)
    if profile == LENIENT:
        return coalesce(parser.feed(text) + parser.close())
    events = parser.feed_whole(text) if max_candidate is None else parser.feed(text)
    return events + parser.close()


def find_annotations(text: str, profile: str = "strict") -> list[Annotation | Recovered]:
    """The annotations of a document, in its order. Errors are those of `parse`."""
    return [event for event in parse(text, profile) if isinstance(event, (Annotation, Recovered))]


def read(chunks: Iterable[str], profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> Iterator[Event]:
    """The events of a document that comes in chunks, each as soon as it is certain. Close the iterator to stop early.

    ``profile`` and ``max_candidate`` are as for `parse`; by default an annotation of more than 8192 code points is text, so
    that memory stays bounded. TypeError where a chunk is no str, ValueError for another profile.
    """
    parser = StreamingParser(profile, max_candidate)
    try:
        for chunk in chunks:
            yield from parser.feed(chunk)
        yield from parser.close()
    finally:
        parser.cancel()


def read_file(path: str | Path, profile: str = "strict", max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> Iterator[Event]:
    """The events of a UTF-8 file of any size, in bounded memory. A byte order mark is text.

    UnicodeDecodeError where it is not UTF-8, and ValueError where it is compressed, or in UTF-16.
    """
    with open(path, "rb") as bytes_:
        other = other_content(bytes_.read(LOOKED_AT))
    if other:
        raise ValueError(f"{path} {other}")
    with open(path, encoding="utf-8", newline="") as file:
        yield from read(iter(lambda: file.read(CHUNK), ""), profile, max_candidate)
