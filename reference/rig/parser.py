"""One pass over the characters reads a document: no recursion, no backtracking beyond one re-reading, bounded hold-back.

Why it is linear. ``OPEN`` holds a quote and queries and values hold none. So an annotation that begins inside a failed
candidate can only begin where one of that candidate's own quotes completes an opener: after the query's closing quote, or
after the value's. A failed candidate is therefore read once as a candidate and at most once more as text, and the
openers found in it re-read at most the arrow. `CharacterParser.work` counts the characters examined; the tests hold it to
a fixed multiple of the input over adversarial families.
"""

from enum import Enum, auto

from .events import AnnotationEvent, AnnotationPart, Event, EventSpan, IncompleteEvent, TextEvent, length_in
from .grammar import ARROW, CLOSE, OPEN, QUOTE, STRICT, WHITE_SPACE, RigProfile

DEFAULT_MAX_CANDIDATE = 8192
"""Longest annotation, in code points, that a streaming reader waits for by default."""


_LITERALS = {AnnotationPart.OPEN: OPEN, AnnotationPart.ARROW: ARROW, AnnotationPart.CLOSE: CLOSE}


class _Step(Enum):
    LIVES = auto()
    """The character belongs to the candidate."""
    COMPLETE = auto()
    """The character is the last one of an annotation."""
    COMPLETE_BEFORE = auto()
    """The annotation ended before the character."""
    FAILS = auto()


class CharacterParser:
    """Reads a document in chunks: ``feed(chunk)`` as often as there is one, then ``close()``; both return the new events.

    Text is handed out as soon as it is certain to be text. What is held back is the live candidate only: the shortest
    suffix that may still become an annotation. ``max_candidate`` bounds it: an annotation longer than so many code points
    (an optional bracket not counted) is read as text, and counted in ``overflows``; None waits for ever. Adjacent feeds may
    hand out adjacent texts; after `coalesce` the events do not depend on the chunking.

    Raises ValueError for a lone surrogate where the profile reads scalar values only, and for use after ``close``.
    """

    def __init__(self, profile: RigProfile = STRICT, max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> None:
        if max_candidate is not None and max_candidate < len(OPEN + "q" + ARROW + CLOSE):
            raise ValueError(f"found max_candidate={max_candidate}, which is shorter than the shortest annotation")
        self.profile = profile
        self.max_candidate = max_candidate
        self.work = 0
        self.overflows = 0
        self._closed = False
        self._buffer: list[str] = []
        """Everything not yet handed out."""
        self._start = 0
        """Index in the buffer where the candidate begins; before it all is text."""
        self._from = 0
        """Index in the buffer of the first character not handed out; differs from 0 inside a feed only."""
        self._at = 0
        """Index in the buffer of the next character to examine."""
        self._emitted = (0, 0, 0)
        """How much of the document has been handed out, in code points, bytes and UTF-16 units."""
        self._begin()

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return len(self._buffer)

    def feed(self, chunk: str) -> list[Event]:
        """Read one more chunk and return what has become certain."""
        if self._closed:
            raise ValueError("fed after close; make a new parser for a new document")
        self.profile.refuse_unless_text(chunk)
        self._buffer.extend(chunk)
        return self._run()

    def close(self) -> list[Event]:
        """End the document and return what was held back."""
        if self._closed:
            raise ValueError("closed twice; make a new parser for a new document")
        self._closed = True
        events: list[Event] = []
        if self._completable():
            events.append(self._take_annotation())
        elif self._buffer:
            raw, parts = self._take_candidate()
            query = parts[1] if self._state is not AnnotationPart.OPEN else None
            value = parts[3] if self._state in (AnnotationPart.VALUE, AnnotationPart.CLOSE) else None
            events.append(IncompleteEvent(raw, self._advance_span(raw), self._state, query, value))
        self._buffer.clear()
        return events

    def _run(self) -> list[Event]:
        events: list[Event] = []
        while self._at < len(self._buffer):
            self.work += 1
            step = self._step(self._buffer[self._at])
            if step is _Step.LIVES:
                self._at += 1
                if self.max_candidate is None or self._at - self._start < self.max_candidate or self._completable():
                    continue
                self.overflows += 1
                self._restart()
            elif step is _Step.FAILS:
                self._restart()
            else:
                self._at += step is _Step.COMPLETE
                self._hand_out_text(events)
                events.append(self._take_annotation())
        self._hand_out_text(events)
        # Once per feed: cutting the buffer at every event would move what follows each time, which is quadratic.
        del self._buffer[: self._start]
        self._at -= self._start
        self._from = self._start = 0
        return events

    def _hand_out_text(self, events: list[Event]) -> None:
        if self._from < self._start:
            raw = "".join(self._buffer[self._from : self._start])
            events.append(TextEvent(raw, self._advance_span(raw)))
            self._from = self._start

    def _begin(self) -> None:
        self._state = AnnotationPart.OPEN
        self._matched = 0
        """How many characters of the literal of this state have been read."""
        self._query_suffices = False

    def _step(self, character: str) -> _Step:
        """Examine one character in the present state; the candidate lives, is complete, or fails."""
        if self._state is AnnotationPart.QUERY:
            if character != QUOTE:
                if self.profile.blank_query_allowed or character not in WHITE_SPACE:
                    self._query_suffices = True
                return _Step.LIVES if self.profile.allows(character) else _Step.FAILS
            self._state, self._matched = AnnotationPart.ARROW, 1
            return _Step.LIVES if self._query_suffices else _Step.FAILS
        if self._state is AnnotationPart.VALUE:
            if character != QUOTE:
                return _Step.LIVES if self.profile.allows(character) else _Step.FAILS
            self._state, self._matched = AnnotationPart.CLOSE, 1
            return _Step.LIVES
        literal = _LITERALS[self._state]
        if character != literal[self._matched]:
            return _Step.COMPLETE_BEFORE if self._completable() else _Step.FAILS
        self._matched += 1
        if self._matched == len(literal):
            if self._state is AnnotationPart.CLOSE:
                return _Step.COMPLETE
            self._state = AnnotationPart.QUERY if self._state is AnnotationPart.OPEN else AnnotationPart.VALUE
        return _Step.LIVES

    def _completable(self) -> bool:
        """Whether what has been read is an annotation as it stands (only where the bracket is optional)."""
        return self._state is AnnotationPart.CLOSE and not self.profile.close_required

    def _restart(self) -> None:
        """Give the candidate up and look for the next one."""
        if self._state is AnnotationPart.OPEN:
            # '[' stands in OPEN once, at its beginning, so no opener begins inside what has matched of it.
            if self._matched == 0:
                self._skip_text()
            self._start = self._at
        else:
            self._start += 1
            self._at = self._start
        self._begin()

    def _skip_text(self) -> None:
        """Go on at the next bracket after this character; the same as examining what is between, and counted as that."""
        after = self._at + 1
        try:
            self._at = self._buffer.index(OPEN[0], after)
        except ValueError:
            self._at = len(self._buffer)
        self.work += self._at - after

    def _take_candidate(self) -> tuple[str, list[str]]:
        raw = "".join(self._buffer[self._start : self._at])
        self._from = self._start = self._at
        # Queries and values hold no quote, so the quotes of a candidate are exactly those of its literals.
        return raw, raw.split(QUOTE)

    def _take_annotation(self) -> AnnotationEvent:
        raw, parts = self._take_candidate()
        self._begin()
        return AnnotationEvent(parts[1], parts[3], raw, self._advance_span(raw))

    def _advance_span(self, raw: str) -> EventSpan:
        points, utf8, utf16 = self._emitted
        ends = points + len(raw), utf8 + length_in("utf8", raw), utf16 + length_in("utf16", raw)
        self._emitted = ends
        return EventSpan((points, ends[0]), (utf8, ends[1]), (utf16, ends[2]))


def parse(text: str, profile: RigProfile = STRICT, max_candidate: int | None = None) -> list[Event]:
    """The events of a whole document. Their ``raw`` joined give the text back; no two texts are adjacent, none is empty.

    Raises ValueError for a lone surrogate where the profile reads scalar values only.
    """
    parser = CharacterParser(profile, max_candidate)
    return parser.feed(text) + parser.close()


def annotations(text: str, profile: RigProfile = STRICT) -> list[AnnotationEvent]:
    """The annotations of a document, in the order of the text; the same query twice is two annotations."""
    return [event for event in parse(text, profile) if isinstance(event, AnnotationEvent)]


def is_well_formed(text: str) -> bool:
    """Whether the opener occurs in annotations only: the texts that a constrained decoder should be able to produce.

    A proper prefix of the opener may end a well-formed document.
    """
    return all(isinstance(event, AnnotationEvent) or OPEN not in event.raw for event in parse(text))
