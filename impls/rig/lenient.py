"""The lenient profile: recover what was meant as an annotation, and say by number what was wrong with it.

Strict annotations come first (`impls.rig.strict`). In the text between them every opener, or what Markdown, a display or a
model made of one, is tried once. Its region ends at the next opener, at a blank line, or after 4096 characters. That bound
keeps the work linear, and keeps a missing quote from swallowing the next annotation. docs/rig-specification.md, section 5,
is the definition.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from typing import NamedTuple

from impls.rig.events import Defect
from impls.rig.grammar import DEFAULT_MAX_CANDIDATE, OPEN, has_control, is_blank
from impls.rig.strict import StreamItem, StrictStream

LONGEST_REGION = 4096
"""Code points after an opener in which the rest of its annotation is looked for."""

_GAP = r"[ \t\u00a0]{0,8}(?:\r?\n[ \t\u00a0]{0,8})?"
"""At most one line break and 16 other characters of white space."""
_CLOSING = {
    '"': '["\u201d]', "\u201c": '["\u201c\u201d]', "\u201d": '["\u201d]', "\u201e": "[\u201c\u201d]", "\u00ab": "\u00bb",
    "\u00bb": "\u00ab", "'": "['\u2019]", "\u2018": "['\u2019]", "\u2019": "['\u2019]", "`": "[`']", '\\"': r'\\"',
    "&quot;": "&quot;",
}  # fmt: skip
_CLOSERS = {mark: re.compile(pattern) for mark, pattern in _CLOSING.items()}
"""The marks that open a string, each with a pattern of those that close it."""
_QUOTE = "|".join(map(re.escape, _CLOSERS))
_QUOTED = re.compile(_QUOTE)

_MARKER = re.compile(rf"([Dd][Cc])(__|\\_\\_|\*\*)?({_GAP})\(({_GAP})({_QUOTE})")
"""An opener from its letters on. It is found by these, and what stands before them is looked at afterwards."""
_HEAD = re.compile(rf"([\[$])({_GAP})\Z")
_LONGEST_GAP = 18
LONGEST_OPENER = 1 + 3 * _LONGEST_GAP + len(r"\_\_DC\_\_") + 1 + len("&quot;")
"""Code points that an opener takes at the most: its head, three gaps, the marker, the parenthesis, the quote."""
_BEGINS_AN_OPENER = re.compile(r"[\[$_\\*]")

_BLANK_LINE = re.compile(r"\n[ \t\r]*\n")
_ARROW = re.compile(rf"{_GAP}(\))?{_GAP}(-->|--->|->|=>|==>|\u2192|\u2013>|\u2014>|--&gt;|-&gt;){_GAP}")
_NO_VALUE = re.compile(rf"{_GAP}\){_GAP}\]")
_CLOSE = re.compile(rf"{_GAP}\]")


class LenientAnnotation(NamedTuple):
    """An annotation as it was meant. ``start`` and ``end`` count code points; a strict one has no defects."""

    query: str
    value: str | None
    start: int
    end: int
    defects: frozenset[Defect]


class Lost(NamedTuple):
    """An opener, or the beginning of one, behind which nothing could be read. ``truncated``: because the text ends there."""

    start: int
    end: int
    truncated: bool


class Opener(NamedTuple):
    """An opener that stands in the text, with what is wrong with it."""

    start: int
    end: int
    quote: str
    defects: frozenset[Defect]


LenientItem = str | LenientAnnotation
"""A text, or an annotation."""


def recover(text: str) -> list[LenientAnnotation]:
    """Every annotation that can be read out of the text, in its order. ValueError for a lone surrogate."""
    return [attempt for attempt in attempts(text) if isinstance(attempt, LenientAnnotation)]


def attempts(text: str) -> Iterator[LenientAnnotation | Lost]:
    """What `recover` finds, and each opener behind which nothing could be read. ValueError for a lone surrogate."""
    at = 0
    for item in StrictStream(max_candidate=None).feed(text):
        if isinstance(item, str):
            yield from _attempts_between(text, at, at + len(item), cut=False)
            at += len(item)
        else:
            at = item[3]
            yield LenientAnnotation(*item, frozenset())
    if at < len(text):
        # The stream holds back a candidate that is alive at the end.
        yield from _attempts_between(text, at, len(text), cut=True)


def _attempts_between(text: str, start: int, end: int, cut: bool) -> Iterator[LenientAnnotation | Lost]:
    """The attempts in a part of a text that holds no strict annotation; ``cut``: a strict one is unfinished at its end."""
    openers = list(_openers(text, start, end))
    if cut and not openers:
        yield Lost(start, end, True)
    for opener, following in zip_longest(openers, openers[1:]):
        limit = min(following.start if following else end, opener.end + LONGEST_REGION)
        blank = _BLANK_LINE.search(text, opener.end, limit)
        found = _read(text, opener, blank.start() if blank else limit)
        if found is not None:
            yield found
        elif cut:
            yield Lost(opener.start, opener.end, following is None)
        else:
            # The text ends in it if its first string is still open there; a strict opener would have been held back.
            is_open = limit == len(text) and not blank and text[opener.start : opener.end] != OPEN
            yield Lost(opener.start, opener.end, is_open and not _CLOSERS[opener.quote].search(text, opener.end, limit))


def _openers(text: str, start: int, end: int) -> Iterator[Opener]:
    """The openers in a part of the text, variants included. They do not overlap."""
    free = start
    """Where the next opener may begin."""
    for marker in _MARKER.finditer(text, start, end):
        letters, after, gap, inner, quote = marker.groups()
        before = after or ""
        begin = marker.start() - len(before)
        if begin < free or text[begin : marker.start()] != before or (letters != "DC" and before != "__"):
            continue
        head = _HEAD.search(text[max(free, begin - 1 - _LONGEST_GAP) : begin])
        if head is None and not before:
            continue  # "DC" alone is a word
        free = marker.end()
        defects = set()
        if before != "__" or letters != "DC":
            defects.add(Defect.MARKER_VARIANT)
        if quote != '"':
            defects.add(Defect.QUOTE_VARIANT)
        if gap or inner or (head and head[2]):
            defects.add(Defect.WHITESPACE)
        if head is None or head[1] == "$":
            defects.add(Defect.MISSING_OPEN_BRACKET)
        if head and head[1] == "$":
            defects.add(Defect.CURRENCY_FOR_BRACKET)
        yield Opener(begin - len(head[0]) if head else begin, free, quote, frozenset(defects))


def _read(text: str, opener: Opener, end: int) -> LenientAnnotation | None:
    """The annotation that begins with an opener and ends before ``end``; None where there is none."""
    ended = _query_end(text, opener, end)
    if ended is None or is_blank(query := text[opener.end : ended[0].start()]):
        return None
    quote, rest, is_first = ended
    defects = set(opener.defects) if is_first else {*opener.defects, Defect.QUOTE_IN_QUERY}
    value: str | None = None
    if rest.re is _NO_VALUE:
        stop = rest.end()
        defects |= {Defect.NO_VALUE} if rest[0] == ")]" else {Defect.NO_VALUE, Defect.WHITESPACE}
    else:
        read = _value(text, rest.end(), end)
        if read is None:
            return None
        value, stop, of_value = read
        defects |= _defects_of_arrow(rest) | _variants(quote[0]) | of_value
    if value == "":
        defects.add(Defect.EMPTY_VALUE)
    if has_control(query) or has_control(value or ""):
        defects.add(Defect.CONTROL_CHARACTER)
    return LenientAnnotation(query, value, opener.start, stop, frozenset(defects))


def _query_end(text: str, opener: Opener, end: int) -> tuple[re.Match[str], re.Match[str], bool] | None:
    """The first quote with the arrow or the end of the annotation after it, what follows it, and whether it is the first."""
    quotes = _CLOSERS[opener.quote].finditer(text, opener.end, end)
    for number, quote in enumerate(quotes):
        rest = _ARROW.match(text, quote.end(), end) or _NO_VALUE.match(text, quote.end(), end)
        if rest:
            return quote, rest, number == 0
    return None


def _defects_of_arrow(arrow: re.Match[str]) -> set[Defect]:
    parenthesis, sign = arrow[1] or "", arrow[2]
    defects = set()
    if not parenthesis:
        defects.add(Defect.MISSING_PARENTHESIS)
    if sign != "-->":
        defects.add(Defect.ARROW_VARIANT)
    if arrow[0] != f"{parenthesis} {sign} ":
        defects.add(Defect.WHITESPACE)
    return defects


def _value(text: str, start: int, end: int) -> tuple[str, int, set[Defect]] | None:
    """The value, the end of the annotation and what is wrong with both; None where neither a quote nor a bracket ends it."""
    opening = _QUOTED.match(text, start, end)
    if opening is None:
        stop = _bracket(text, start, end)
        return None if stop is None else (text[start:stop].strip(), stop + 1, {Defect.UNQUOTED_VALUE})
    marks, at = [opening[0]], opening.end()
    first: re.Match[str] | None = None
    for quote in _CLOSERS[opening[0]].finditer(text, at, end):
        close = _CLOSE.match(text, quote.end(), end)
        if close:
            defects = {Defect.QUOTE_IN_VALUE} if first else set()
            if close[0] != "]":
                defects.add(Defect.WHITESPACE)
            return text[at : quote.start()], close.end(), defects | _variants(*marks, quote[0])
        first = first or quote
    if first:
        return text[at : first.start()], first.end(), {Defect.MISSING_CLOSE_BRACKET} | _variants(*marks, first[0])
    stop = _bracket(text, at, end)
    return None if stop is None else (text[at:stop], stop + 1, {Defect.MISSING_CLOSE_QUOTE} | _variants(*marks))


def _variants(*quotes: str) -> set[Defect]:
    return set() if set(quotes) == {'"'} else {Defect.QUOTE_VARIANT}


def _bracket(text: str, start: int, end: int) -> int | None:
    """Where the next closing bracket on this line stands."""
    stop = text.find("]", start, end)
    return None if stop < 0 or "\n" in (between := text[start:stop]) or "\r" in between else stop


class LenientStream:
    """``feed(chunk)`` as often as there is one, then ``close()``: both return what has become certain, in order.

    What must be known before the text behind an opener is read is where its region ends. That much, and the live candidate of
    the strict stream, is all that is held back. ``max_candidate`` bounds strict annotations, as in `StrictStream`; recovered
    ones are bounded by their regions. ``cancel()`` ends the stream early.
    """

    def __init__(self, max_candidate: int | None = DEFAULT_MAX_CANDIDATE) -> None:
        self._strict = StrictStream(max_candidate=max_candidate)
        self._pending = ""
        """Text that the strict stream has let go and that is not handed out."""
        self._at = 0
        """Where ``_pending`` begins in the document."""
        self._openers: deque[Opener] = deque()
        """Those in ``_pending`` behind which nothing was read yet."""
        self._scanned = 0
        """No other opener begins in ``_pending`` before here."""

    @property
    def held_back(self) -> int:
        """Code points received and not yet handed out."""
        return self._strict.held_back + len(self._pending)

    def feed(self, chunk: str) -> list[LenientItem]:
        """Read one more chunk and return what has become certain."""
        items: list[LenientItem] = []
        for item in self._strict.feed(chunk):
            self._take(item, items)
        return items

    def close(self) -> list[LenientItem]:
        """End the document and return what was held back."""
        items: list[LenientItem] = []
        held = self._strict.held_back
        rest = self._strict.close()
        if held:
            # What was cut is read apart from the text before it.
            self._settle(items, end=True)
        for item in rest:
            self._take(item, items)
        self._settle(items, end=True)
        return items

    def cancel(self) -> None:
        """Drop what is held back and take no more."""
        self._strict.cancel()
        self._pending, self._openers = "", deque()

    def _take(self, item: StreamItem, items: list[LenientItem]) -> None:
        if isinstance(item, str):
            self._pending += item
            self._settle(items)
        else:
            self._settle(items, end=True)
            self._at = item[3]
            items.append(LenientAnnotation(*item, frozenset()))

    def _settle(self, items: list[LenientItem], end: bool = False) -> None:
        """Hand out what is certain of the pending text; ``end``: nothing that follows belongs to it."""
        text = self._pending
        self._openers += _openers(text, self._scanned, len(text))
        last = self._openers[-1].end if self._openers else 0
        self._scanned = max(last, self._scanned, len(text) - LONGEST_OPENER)
        handed = 0
        while self._openers:
            opener = self._openers[0]
            following = self._openers[1].start if len(self._openers) > 1 else None
            limit = opener.end + LONGEST_REGION
            region = min(limit, len(text) if following is None else following)
            blank = _BLANK_LINE.search(text, opener.end, region)
            if not (end or blank or following is not None or len(text) >= limit + LONGEST_OPENER):
                break
            found = _read(text, opener, blank.start() if blank else region)
            if found is not None:
                if handed < found.start:
                    items.append(text[handed : found.start])
                handed = found.end
                items.append(found._replace(start=self._at + found.start, end=self._at + found.end))
            self._openers.popleft()
        hold = len(text)
        if self._openers:
            hold = self._openers[0].start
        elif not end and (begun := _BEGINS_AN_OPENER.search(text, max(handed, self._scanned))):
            hold = begun.start()
        if handed < hold:
            items.append(text[handed:hold])
        self._drop(hold)

    def _drop(self, count: int) -> None:
        self._pending = self._pending[count:]
        self._at += count
        self._scanned = max(0, self._scanned - count)
        if count and self._openers:
            # Their places are counted anew; the same openers are found, since the first begins where the text now does.
            self._scanned, self._openers = 0, deque()
