"""The lenient profile at speed and in chunks: strict annotations as `impls.rig.strict` has them, the law's reading between.

What the law needs to know before it reads behind an opener is where the next opener, a blank line or 4096 characters end its
region. So that much, and the live candidate of the strict reader, is all that `LenientStream` holds back.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from impls.rig import strict
from reference import rig
from reference.rig import lenient
from reference.rig.lenient import LONGEST_OPENER, LONGEST_REGION, Lost, Recovered

_BEGINS_AN_OPENER = re.compile(r"[\[$_\\*]")

Item = str | Recovered
"""A text, or an annotation, strict ones without defects."""


def attempts(text: str) -> Iterator[Recovered | Lost]:
    """What `reference.rig.lenient.attempts` gives, many times as fast on what models write."""
    reader = strict.Stream(max_candidate=None)
    at = 0
    for item in reader.feed(text):
        if isinstance(item, str):
            yield from lenient.attempts_between(text, at, at + len(item), False)
            at += len(item)
        else:
            query, value, start, at = item
            yield Recovered(query, value, start, at, frozenset())
    if at < len(text):
        # A candidate that is alive at the end is an event of its own, as is the text before it.
        yield from lenient.attempts_between(text, at, len(text), reader.held_back > 0)


def recover(text: str) -> list[Recovered]:
    """Every annotation that can be read out of the text, in its order. ValueError for a lone surrogate."""
    return [attempt for attempt in attempts(text) if isinstance(attempt, Recovered)]


class LenientStream:
    """``feed(chunk)`` as often as there is one, then ``close()``: both return what has become certain, in order.

    ``max_candidate`` bounds the strict annotations, as in `impls.rig.strict.Stream`; what is read leniently is bounded by
    itself. ``cancel()`` ends it early.
    """

    def __init__(self, max_candidate: int | None = rig.DEFAULT_MAX_CANDIDATE) -> None:
        self._strict = strict.Stream(rig.STRICT, max_candidate)
        self._pending = ""
        """Text that the strict reader has let go and that is not handed out."""
        self._at = 0
        """Where ``_pending`` begins in the document."""
        self._openers: list[re.Match[str]] = []
        """Those in ``_pending`` that nothing was read behind yet."""
        self._scanned = 0
        """No other opener begins in ``_pending`` before here."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._strict.held_back + len(self._pending)

    def feed(self, chunk: str) -> list[Item]:
        """Read one more chunk and return what has become certain."""
        items: list[Item] = []
        for item in self._strict.feed(chunk):
            self._take(item, items)
        return items

    def close(self) -> list[Item]:
        """End the document and return what was held back."""
        items: list[Item] = []
        held = self._strict.held_back
        rest = self._strict.close()
        if held:
            # What was cut is read apart from the text before it, as the law reads it.
            self._settle(items, end=True)
        for item in rest:
            self._take(item, items)
        self._settle(items, end=True)
        return items

    def cancel(self) -> None:
        """Drop what is held back and take no more."""
        self._strict.cancel()
        self._pending, self._openers = "", []

    def _take(self, item: strict.Item, items: list[Item]) -> None:
        if isinstance(item, str):
            self._pending += item
            self._settle(items)
        else:
            self._settle(items, end=True)
            query, value, start, end = item
            self._at = end
            items.append(Recovered(query, value, start, end, frozenset()))

    def _settle(self, items: list[Item], end: bool = False) -> None:
        """Hand out what is certain of the pending text; ``end``: nothing that follows belongs to it."""
        text = self._pending
        for opener in lenient.OPENER.finditer(text, self._scanned):
            self._openers.append(opener)
        last = self._openers[-1].end() if self._openers else 0
        self._scanned = max(last, self._scanned, len(text) - LONGEST_OPENER)
        handed = 0
        while self._openers:
            opener = self._openers[0]
            following = self._openers[1].start() if len(self._openers) > 1 else None
            limit = opener.end() + LONGEST_REGION
            region = min(limit, len(text) if following is None else following)
            blank = lenient.BLANK_LINE.search(text, opener.end(), region)
            if not (end or blank or following is not None or len(text) >= limit + LONGEST_OPENER):
                break
            read = lenient.read_behind(text, opener, blank.start() if blank else region)
            if read is not None:
                if handed < read.start:
                    items.append(text[handed : read.start])
                handed = read.end
                shifted = Recovered(read.query, read.value, self._at + read.start, self._at + read.end, read.defects)
                items.append(shifted)
            del self._openers[0]
        hold = len(text)
        if self._openers:
            hold = self._openers[0].start()
        elif not end:
            begun = _BEGINS_AN_OPENER.search(text, max(handed, self._scanned))
            hold = begun.start() if begun else hold
        if handed < hold:
            items.append(text[handed:hold])
        self._drop(hold)

    def _drop(self, count: int) -> None:
        self._pending = self._pending[count:]
        self._at += count
        self._scanned = max(0, self._scanned - count)
        if count and self._openers:
            # Their places are counted anew; the same openers are found, since the first begins where the text now does.
            self._scanned, self._openers = 0, []
