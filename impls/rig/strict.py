r"""The strict and the official profile, at the speed of C: search for the opener, then match one compiled pattern.

"[" stands in the opener once, at its beginning, so an annotation can only begin where a search finds the whole opener. The
pattern matches no text in two ways. A candidate that fails is given up for the next opener, which may stand inside it. Both
steps read a character a fixed number of times at most, so the work is linear on any input. Nothing recurses.

`find_annotations` reads a whole document. `StrictStream` reads one in chunks of any size. It holds back the live candidate
only, and reads it again only where the new chunk could end the string in which it stands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from impls.rig.grammar import ARROW, CLOSE, DEFAULT_MAX_CANDIDATE, OPEN, QUERY, STRING, refuse_surrogates, require_text

Found = tuple[str, str, int, int]
StreamItem = str | Found
"""A text, or an annotation as (query, value, start, end) in code points."""


def _beginnings_of(literal: str, then: str = "") -> str:
    """A pattern of every beginning of the literal but the empty one, and of the literal with what comes ``then``."""
    pattern = re.escape(literal[-1]) + then
    for character in reversed(literal[:-1]):
        pattern = f"{re.escape(character)}(?:{pattern})?"
    return pattern


@dataclass(frozen=True)
class Grammar:
    """The compiled patterns of one profile."""

    whole: re.Pattern[str]
    """One annotation; groups 1 and 2 are its query and value."""
    live: re.Pattern[str]
    """Every beginning of one, the longest first."""
    stop: re.Pattern[str]
    """What can end a string, so that the reader must look at what it has."""
    close_required: bool
    surrogates_allowed: bool

    @classmethod
    def of(cls, query: str, string: str, stop: str, official: bool) -> Grammar:
        """From the patterns of a query, of any string, and of what ends one."""
        live = _beginnings_of(ARROW, f"(?:{string}{_beginnings_of(CLOSE)}|{string})")
        live = _beginnings_of(OPEN, f"(?:{query}{live}|{string})")
        whole = re.escape(OPEN) + f"({query})" + re.escape(ARROW) + f"({string})" + re.escape(CLOSE) + "?" * official
        return cls(re.compile(whole), re.compile(live), re.compile(stop), not official, official)


STRICT, OFFICIAL = "strict", "official"
GRAMMARS = {
    STRICT: Grammar.of(QUERY, STRING, '["\x00-\x1f\x7f]', official=False),
    OFFICIAL: Grammar.of('[^"]+', '[^"]*', '"', official=True),
}
"""By the name of the profile. The official one extracts what the published reader extracts: the bracket is optional, both
strings may hold any character but the quote, and lone surrogates are allowed."""


def find_annotations(text: str, profile: str = STRICT) -> list[Found]:
    """The annotations of a document. ValueError for a lone surrogate in the strict profile."""
    grammar = GRAMMARS[profile]
    require_text(text)
    if not grammar.surrogates_allowed:
        refuse_surrogates(text)
    # One bound method, one call for both strings and one for both ends: what is called for each annotation is what counts.
    return [(*found.groups(), *found.span()) for found in grammar.whole.finditer(text)]  # type: ignore[misc]


def is_well_formed(text: str) -> bool:
    """Whether the opener occurs in annotations only. The beginning of an opener may end a well-formed document."""
    at = 0
    for _, _, start, end in find_annotations(text):
        if text.find(OPEN, at, start) >= 0:
            return False
        at = end
    return text.find(OPEN, at) < 0


class StrictStream:
    """``feed(chunk)`` as often as there is one, then ``close()``: both return what has become certain, in order.

    ``max_candidate`` bounds what is held back for one annotation, in code points (an optional bracket not counted): a longer
    one is read as text and counted in ``overflows``. None waits for ever. ``cancel()`` ends the stream early: what was held
    back is dropped, and nothing more is taken. ValueError for a lone surrogate in the strict profile and use after the end.
    """

    def __init__(self, profile: str = STRICT, max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> None:
        if max_candidate is not None and (not isinstance(max_candidate, int) or isinstance(max_candidate, bool)):
            raise TypeError(f"found max_candidate={max_candidate!r}, expected a number of code points or None")
        if max_candidate is not None and max_candidate < len(OPEN + "q" + ARROW + CLOSE):
            raise ValueError(f"found max_candidate={max_candidate}, which is shorter than the shortest annotation")
        self.max_candidate = max_candidate
        self.overflows = 0
        self._grammar = GRAMMARS[profile]
        self._closed = False
        self._held = ""
        """The live candidate, but for what stands in ``_pieces``."""
        self._pieces: list[str] = []
        """Chunks inside a string of the candidate, in which nothing can end it."""
        self._length = 0
        """Code points held back, in both."""
        self._in_string = False
        self._emitted = 0
        """Code points handed out."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._length

    def feed(self, chunk: str) -> list[StreamItem]:
        """Read one more chunk and return what has become certain."""
        if self._closed:
            raise ValueError("fed after close; make a new reader for a new document")
        require_text(chunk)
        if not self._grammar.surrogates_allowed:
            refuse_surrogates(chunk)
        if self._in_string and not self._grammar.stop.search(chunk):
            length = self._length + len(chunk)
            if self.max_candidate is None or length < self.max_candidate:
                self._pieces.append(chunk)
                self._length = length
                return []
        if not self._length and OPEN[0] not in chunk:
            # Most of what a model writes, a token at a time.
            self._emitted += len(chunk)
            return [chunk] if chunk else []
        return self._read("".join((self._held, *self._pieces, chunk)), False)

    def close(self) -> list[StreamItem]:
        """End the document and return what was held back: text, unless the profile does without the bracket."""
        if self._closed:
            raise ValueError("closed twice; make a new reader for a new document")
        self._closed = True
        return self._read("".join((self._held, *self._pieces)), True)

    def cancel(self) -> None:
        """Drop what is held back and take no more. May be called at any time, and more than once."""
        self._closed = True
        self._held, self._pieces, self._length, self._in_string = "", [], 0, False

    def _read(self, text: str, final: bool) -> list[StreamItem]:
        items: list[StreamItem] = []
        handed = 0
        hold: int | None = None
        at = text.find(OPEN)
        while at >= 0 and hold is None:
            match = self._annotation(text, at)
            if match is None and self._is_alive(text, at):
                hold = at
            elif match is None:
                at = text.find(OPEN, at + len(OPEN))
            elif not final and not self._grammar.close_required and match.end() == len(text) and text[-1] != "]":
                hold = at  # the optional bracket may come with the next chunk
            else:
                if handed < at:
                    items.append(text[handed:at])
                handed = match.end()
                items.append((*match.groups(), self._emitted + at, self._emitted + handed))  # type: ignore[arg-type]
                at = text.find(OPEN, handed)
        if final:
            hold = len(text)
        elif hold is None:
            hold = _opener_begun(text, handed)
        if handed < hold:
            items.append(text[handed:hold])
        self._emitted += hold
        self._held, self._pieces, self._length = text[hold:], [], len(text) - hold
        self._in_string = self._held.count('"') in (1, 3)
        return items

    def _annotation(self, text: str, at: int) -> re.Match[str] | None:
        """The annotation that begins here, if it is within the bound."""
        match = self._grammar.whole.match(text, at)
        if match is None or self.max_candidate is None:
            return match
        end = match.end()
        optional = not self._grammar.close_required and text[end - 1] == "]"
        return match if end - at - optional <= self.max_candidate else None

    def _is_alive(self, text: str, at: int) -> bool:
        """Whether the rest of the text could still become one annotation within the bound; counts what is past it."""
        bound, live = self.max_candidate, self._grammar.live
        if bound is None or len(text) - at < bound:
            return live.fullmatch(text, at) is not None
        self.overflows += live.fullmatch(text, at, at + bound) is not None
        return False


def _opener_begun(text: str, start: int) -> int:
    """Where the beginning of an opener stands at the end of the text, else the end. "[" stands in an opener once."""
    last = text.rfind(OPEN[0], max(start, len(text) - len(OPEN) + 1))
    return last if last >= 0 and OPEN.startswith(text[last:]) else len(text)
