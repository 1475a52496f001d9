"""The work of every reader is proportional to its text. Work is counted, so that it is the same on every machine.

Counted are calls (of C functions too), the code points that a reader searches, copies or reads once more, and the places of a
queue that have to move.
"""

from __future__ import annotations

import random
import re
import sys
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, SupportsIndex

import pytest

from impls.rig import diagnostics, lenient, parser, resolver, strict, tags
from reference import rig

FAMILIES = [
    '[__DC__("a\n', "[", "[__DC__(", rig.OPEN, rig.OPEN + "a", rig.OPEN + "a" + rig.ARROW, rig.OPEN + "a" + rig.ARROW + "b\n",
    rig.OPEN + "a[__DC__(" + rig.ARROW, rig.OPEN + "a[__DC__(" + rig.ARROW + "b[__DC__(", rig.OPEN + " " * 40, '"', "$",
    rig.OPEN + "a" + rig.ARROW + "5" + rig.CLOSE, '**DC**("', "_", "\\", "[ ", '__DC__("a" -->', "\n", "[ \t", "\n \t", "[[",
    "]", "&quot;", "[ __DC__(" + "\t" * 8, "[DC('a') -> '5' ", "[DC('a') -> 5 ", "[__DC__#1(", "[__DC__#1(5 || ", ")]", "||",
    "[__DC__#1(5 || 6)]",
]  # fmt: skip

ONE_CANDIDATE = {
    "one query": (rig.OPEN + "a", "a"),
    "one value": (rig.OPEN + "a" + rig.ARROW, "5"),
    "one value of half openers": (rig.OPEN + "a" + rig.ARROW, "[__DC__("),
    "one recovered value": ("[ __DC__('a') --> '", "5 "),
}
Families = dict[str, tuple[str, str]]
_PIECES = (
    *FAMILIES,
    '("',
    "__DC__",
    ") --> ",
    '") -> "',
    "'",
    "\u201c",
    "a",
    " ",
    "\r\n",
    "\t",
    "5%",
    "\u00a0",
    "DC",
    "**",
    "$",
    "&quot;)",
    " --> ",
)


def generated(number: int, seed: int) -> Families:
    """Families that nobody thought of: some pieces again and again, behind others or behind nothing."""
    source = random.Random(seed)

    def some(most: int) -> str:
        return "".join(source.choices(_PIECES, k=source.randrange(most + 1)))

    return {f"{head!r} {piece!r}": (head, piece) for head, piece in ((some(3), some(5) or "[") for _ in range(number))}


ALL: Families = {**{family: ("", family) for family in FAMILIES}, **ONE_CANDIDATE, **generated(30, seed=0)}


class Work:
    """Counts work while it is entered."""

    def __init__(self) -> None:
        self.done = 0

    def __enter__(self) -> Work:
        sys.setprofile(self._called)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def _called(self, frame: Any, event: str, argument: Any) -> None:
        self.done += event in ("call", "c_call")


@dataclass(frozen=True)
class CountedPattern:
    """A pattern that counts the code points that it went over."""

    pattern: re.Pattern[str]
    work: Work

    def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self.pattern.search(text, start, end)
        self.work.done += (found.end() if found else min(end, len(text))) - start
        return found

    def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]:
        at = start
        for found in self.pattern.finditer(text, start, end):
            self.work.done += found.end() - at
            at = found.end()
            yield found
        self.work.done += min(end, len(text)) - at

    def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        found = self.pattern.match(text, start, end)
        self.work.done += found.end() - start if found else 1
        return found

    def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None:
        longest = self.pattern.match(text, start, end)
        self.work.done += longest.end() - start if longest else 1
        return self.pattern.fullmatch(text, start, end)

    def sub(self, *arguments: Any) -> str:
        self.work.done += len(arguments[-1])
        return self.pattern.sub(*arguments)


def counted_text(work: Work) -> type[str]:
    """A str whose slices and sums count the code points that they copy."""

    class CountedText(str):
        def __getitem__(self, key: SupportsIndex | slice) -> str:
            return self._counted(super().__getitem__(key))

        def __add__(self, other: str) -> str:
            return self._counted(super().__add__(other))

        def __radd__(self, other: str) -> str:
            return self._counted(other.__add__(self))

        def _counted(self, made: str) -> str:
            work.done += len(made)
            return CountedText(made)

    return CountedText


def counted_queue(work: Work) -> type[deque[Any]]:
    """A queue that counts the places that move or are walked over."""

    class CountedQueue(deque[Any]):
        def __delitem__(self, key: Any) -> None:
            work.done += len(self)
            super().__delitem__(key)

        def __getitem__(self, key: Any) -> Any:
            work.done += min(key, len(self) - key)
            return super().__getitem__(key)

    return CountedQueue


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """A counter that all readers report to."""
    counter = Work()
    for module in (lenient, resolver, tags):
        for name, value in list(vars(module).items()):
            if isinstance(value, re.Pattern):
                monkeypatch.setattr(module, name, CountedPattern(value, counter))
    closers = {mark: CountedPattern(pattern, counter) for mark, pattern in lenient._CLOSERS.items()}
    monkeypatch.setattr(lenient, "_CLOSERS", closers)
    for profile, grammar in strict.GRAMMARS.items():
        patterns = {name: CountedPattern(getattr(grammar, name), counter) for name in ("whole", "live", "stop")}
        monkeypatch.setitem(strict.GRAMMARS, profile, replace(grammar, **patterns))  # type: ignore[arg-type]
    monkeypatch.setattr(lenient, "deque", counted_queue(counter))
    read, settle = strict.StrictStream._read, lenient.LenientStream._settle

    def counted_read(self: strict.StrictStream, text: str, final: bool) -> Any:
        counter.done += len(text)
        return read(self, text, final)

    def counted_settle(self: lenient.LenientStream, items: Any, end: bool = False) -> None:
        counter.done += len(self._pending)
        settle(self, items, end)

    monkeypatch.setattr(strict.StrictStream, "_read", counted_read)
    monkeypatch.setattr(lenient.LenientStream, "_settle", counted_settle)
    return counter


def is_linear(work: Work, use: Callable[[str], object], head: str, piece: str, length: int) -> bool:
    """Whether twice as much more text takes twice as much more work; a tenth over that is allowed."""
    text = counted_text(work)
    counts = []
    for factor in (1, 2, 4):
        document = text(head + piece * max(1, factor * length // len(piece)))
        work.done = 0
        with work:
            use(document)
        counts.append(work.done)
    first, second = counts[1] - counts[0], counts[2] - counts[1]
    return second <= 2.2 * first + 1000


def not_linear(work: Work, use: Callable[[str], object], length: int, families: Families = ALL) -> list[str]:
    return [name for name, (head, piece) in families.items() if not is_linear(work, use, head, piece, length)]


@pytest.mark.parametrize("profile", parser.PROFILES)
def test_reading_a_whole_document(work: Work, profile: str) -> None:
    assert not_linear(work, lambda text: parser.parse(text, profile), 2_000) == []


@pytest.mark.parametrize("profile", parser.PROFILES)
@pytest.mark.parametrize(("size", "limit"), [(128, None), (128, 256), (1, None)], ids=str)
def test_reading_in_chunks(work: Work, profile: str, size: int, limit: int | None) -> None:
    def use(text: str) -> None:
        for _ in parser.read((text[at : at + size] for at in range(0, len(text), size)), profile, limit):
            pass

    # A lenient reader holds back one region, whatever the length of the text: the shortest text must be longer than that.
    families = ONE_CANDIDATE if size == 1 else ALL
    assert not_linear(work, use, lenient.LONGEST_REGION + 1000, families) == []


@pytest.mark.parametrize("use", [
    lenient.recover, diagnostics.diagnose, tags.find_tags, strict.is_well_formed,
    lambda text: resolver.resolve(text, lambda query: None),
    lambda text: resolver.resolve(text, lambda query: resolver.Served("5", "%")),
], ids=["recover", "diagnose", "find_tags", "is_well_formed", "resolve", "resolve to something"])  # fmt: skip
def test_everything_else_that_reads(work: Work, use: Callable[[str], object]) -> None:
    assert not_linear(work, use, 2_000) == []
