r"""Reads as the reference does, at the speed of C: a search for the opener, then one compiled pattern for the rest.

Exact by construction, and held to the reference by tests. "[" stands in the opener once, at its beginning, so an annotation
can only begin where a search finds the whole opener; the pattern is the exported one, in which no text matches in two ways;
and a candidate that fails is given up for the next opener, which may stand inside it. Both steps read a character a fixed
number of times at most (see `reference.rig.parser`), so work is linear on any input. Nothing recurses.

`find_annotations` reads a document that is all there. `Stream` reads one in chunks of any size. It holds back no more than the
live candidate, and reads what it holds again only where the new chunk could end the string that it stands in: nothing grows
with the number of chunks.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from impls.rig.export import annotation_pattern
from reference import rig
from reference.rig.official import PATTERN as OFFICIAL_PATTERN

Found = tuple[str, str, int, int]
Item = str | Found
"""A text, or an annotation as (query, value, start, end) in code points."""

_STOP = {"strict": '["\x00-\x1f\x7f]', "official": '"'}
"""What can end a string, in the sense that the reader must look at what it has."""


@dataclass(frozen=True)
class Patterns:
    """What one profile needs. ``whole`` is one annotation; ``live`` matches every beginning of one, and the longest."""

    whole: re.Pattern[str]
    live: re.Pattern[str]
    stop: re.Pattern[str]
    close_required: bool


@functools.cache
def patterns(profile: rig.Profile) -> Patterns:
    """The compiled patterns of a profile, from the same sources as the exported grammar."""
    whole = annotation_pattern() if profile.close_required else OFFICIAL_PATTERN
    _, query, value, _ = re.split(r'"\\\) --> "|\\\[__DC__\\\("|"\\\](?:\?)?\Z', whole)
    query, value = query[1:-1], value[1:-1]
    live = _beginnings_of(rig.CLOSE)
    live = f"(?:{value}{live}|{value})"
    live = _beginnings_of(rig.ARROW, live)
    live = f"(?:{query}{live}|{value})"
    return Patterns(
        re.compile(whole),
        re.compile(_beginnings_of(rig.OPEN, live)),
        re.compile(_STOP[profile.name]),
        profile.close_required,
    )


def _beginnings_of(literal: str, then: str = "") -> str:
    """A pattern of every beginning of the literal but the empty one, and of the literal with what comes ``then``."""
    pattern = re.escape(literal[-1]) + then
    for character in reversed(literal[:-1]):
        pattern = f"{re.escape(character)}(?:{pattern})?"
    return pattern


def find_annotations(text: str, profile: rig.Profile = rig.STRICT) -> list[Found]:
    """The annotations of a document. ValueError for a lone surrogate where the profile reads scalar values only."""
    refuse_unless_text(text, profile)
    # One bound method, one call for both strings and one for both ends: it is what is called for each annotation that counts.
    return [(*found.groups(), *found.span()) for found in patterns(profile).whole.finditer(text)]  # type: ignore[misc]


_SLICE = 1 << 16
"""Code points that are checked at a time, so that a document of any length needs little memory beside itself."""


def refuse_unless_text(text: str, profile: rig.Profile) -> None:
    """What `reference.rig.Profile.refuse_unless_text` does, ten times as fast: the codec refuses lone surrogates."""
    if profile.surrogates_allowed or text.isascii():
        return
    try:
        for start in range(0, len(text), _SLICE):
            text[start : start + _SLICE].encode("utf-16-le")
    except UnicodeEncodeError:
        profile.refuse_unless_text(text)
        raise


class Stream:
    """``feed(chunk)`` as often as there is one, then ``close()``: both return what has become certain, in order.

    Equal to `reference.rig.StreamingParser` in what it reads, in what it holds back, and in what ``max_candidate`` means.
    ``cancel()`` ends it early: what was held back is dropped, and nothing more is taken.
    """

    def __init__(self, profile: rig.Profile = rig.STRICT, max_candidate: int | None = rig.DEFAULT_MAX_CANDIDATE) -> None:
        if max_candidate is not None and max_candidate < len(rig.OPEN + "q" + rig.ARROW + rig.CLOSE):
            raise ValueError(f"found max_candidate={max_candidate}, which is shorter than the shortest annotation")
        self.profile = profile
        self.max_candidate = max_candidate
        self.overflows = 0
        self._patterns = patterns(profile)
        self._closed = False
        self._held = ""
        """The live candidate, but for what stands in ``_pieces``."""
        self._pieces: list[str] = []
        """Chunks inside a string of the candidate, which nothing in them can end."""
        self._length = 0
        """Code points held back, in both."""
        self._in_string = False
        self._emitted = 0
        """Code points handed out."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._length

    def feed(self, chunk: str) -> list[Item]:
        """Read one more chunk and return what has become certain."""
        if self._closed:
            raise ValueError("fed after close; make a new reader for a new document")
        if not chunk.isascii():
            refuse_unless_text(chunk, self.profile)
        if self._in_string and not self._patterns.stop.search(chunk):
            length = self._length + len(chunk)
            if self.max_candidate is None or length < self.max_candidate:
                self._pieces.append(chunk)
                self._length = length
                return []
        if not self._length and rig.OPEN[0] not in chunk:
            # Most of what a model writes, a token at a time.
            self._emitted += len(chunk)
            return [chunk] if chunk else []
        return self._read("".join((self._held, *self._pieces, chunk)), False)

    def close(self) -> list[Item]:
        """End the document and return what was held back: text, unless the profile does without the bracket."""
        if self._closed:
            raise ValueError("closed twice; make a new reader for a new document")
        self._closed = True
        return self._read("".join((self._held, *self._pieces)), True)

    def cancel(self) -> None:
        """Drop what is held back and take no more. May be called at any time, and more than once."""
        self._closed = True
        self._held, self._pieces, self._length, self._in_string = "", [], 0, False

    def _read(self, text: str, final: bool) -> list[Item]:
        items: list[Item] = []
        opener, whole, live = rig.OPEN, self._patterns.whole, self._patterns.live
        bound, optional = self.max_candidate, not self._patterns.close_required
        handed = 0
        hold = len(text)
        at = text.find(opener)
        while at >= 0:
            match = whole.match(text, at)
            if match is not None and bound is not None and _shortest(match, optional) > bound:
                match = None
            if match is not None:
                end = match.end()
                if optional and not final and end == len(text) and text[-1] != "]":
                    hold = at
                    break
                if handed < at:
                    items.append(text[handed:at])
                query, value = match.groups()
                items.append((query, value, self._emitted + at, self._emitted + end))
                handed = end
                at = text.find(opener, end)
                continue
            if bound is None or len(text) - at < bound:
                if live.fullmatch(text, at):
                    hold = at
                    break
            elif live.fullmatch(text, at, at + bound):
                self.overflows += 1
            at = text.find(opener, at + len(opener))
        else:
            # A beginning of the opener may stand at the end; "[" stands in it once, so the last one decides.
            last = text.rfind(opener[0], max(handed, len(text) - len(opener) + 1))
            if last >= 0 and opener.startswith(text[last:]):
                hold = last
        if final:
            hold = len(text)
        if handed < hold:
            items.append(text[handed:hold])
        self._emitted += hold
        self._held, self._pieces, self._length = text[hold:], [], len(text) - hold
        self._in_string = self._held.count('"') in (1, 3)
        return items


def _shortest(match: re.Match[str], optional: bool) -> int:
    """The length of an annotation, without its bracket where that is optional."""
    length = match.end() - match.start()
    return length - 1 if optional and match.string[match.end() - 1] == "]" else length
