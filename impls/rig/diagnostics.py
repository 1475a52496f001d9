"""What is wrong with an annotation, as a compiler would say it: where, what was expected there, what was found, what to write.

>>> print(diagnose("The share was [__DC__('what was the share of women?') --> \\"52%\\"].")[0].render())
1:23: error D4: expected '"', found "'" (U+0027)
    The share was [__DC__('what was the share of women?') --> "52%"].
                          ^
    write: [__DC__("what was the share of women?") --> "52%"]
"""

from __future__ import annotations

import bisect
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from impls.rig import lenient, strict
from impls.rig.repair import repaired
from reference import rig
from reference.rig.lenient import Lost, Recovered

CONTEXT = 76
"""Code points of a line that are shown at the most."""


@dataclass(frozen=True)
class Diagnostic:
    """One candidate that the strict grammar does not read.

    ``start`` and ``end`` span what was recovered (of what was lost: its opener); ``at`` is the first code point at which the
    grammar goes no further; all count code points. ``codes`` are D1 to D15, or ``lost``, or ``truncated``. ``suggestion`` is
    what to write from ``start`` to ``end``; None where there is more than one way to mean it.
    """

    codes: tuple[str, ...]
    expected: str
    found: str
    start: int
    end: int
    at: int
    line: int
    column: int
    """Both from 1, of ``at``; lines end at U+000A alone, columns count code points."""
    source: str
    """The line, or the part of it around ``at``."""
    caret: int
    """How many columns of a terminal stand before the caret."""
    suggestion: str | None

    @property
    def message(self) -> str:
        """What was expected and what was found."""
        return f"expected {self.expected}, found {self.found}"

    def render(self, name: str = "") -> str:
        """The diagnostic in four lines (three without a suggestion), for a terminal."""
        place = f"{name}:{self.line}:{self.column}" if name else f"{self.line}:{self.column}"
        lines = [f"{place}: error {' '.join(self.codes)}: {self.message}", f"    {self.source}", f"    {' ' * self.caret}^"]
        if self.suggestion is not None:
            lines.append(f"    write: {self.suggestion}")
        return "\n".join(lines)


def diagnose(text: str) -> list[Diagnostic]:
    """The candidates that the strict grammar does not read, in order. ValueError for a lone surrogate. Linear work."""
    wrong = [a for a in lenient.attempts(text) if isinstance(a, Lost) or a.defects]
    return list(diagnostics(text, wrong))


def diagnostics(text: str, attempts: Iterable[Recovered | Lost]) -> Iterable[Diagnostic]:
    """The same for attempts that are known already."""
    starts: list[int] | None = None
    for attempt in attempts:
        if starts is None:
            starts = _line_starts(text)
        if isinstance(attempt, Lost):
            codes: tuple[str, ...] = ("truncated",) if attempt.truncated else ("lost",)
            suggestion = None
        else:
            codes = tuple(f"D{defect.value}" for defect in sorted(attempt.defects, key=lambda defect: defect.value))
            pair = repaired(attempt, text)
            suggestion = rig.serialise_annotation(*pair) if pair else None
        at, expected = stopped(text, attempt.start)
        line = bisect.bisect_right(starts, at)
        source, caret = _shown(text, starts, line, at)
        yield Diagnostic(
            codes,
            expected,
            _named(text, at),
            attempt.start,
            attempt.end,
            at,
            line,
            at - starts[line - 1] + 1,
            source,
            caret,
            suggestion,
        )


def stopped(text: str, start: int) -> tuple[int, str]:
    """Where the strict grammar goes no further with an annotation that begins at ``start``, and what it expects there."""
    live = strict.patterns(rig.STRICT).live.match(text, start)
    if live is None:
        return start, repr(rig.OPEN)
    at, parts = live.end(), live[0].split('"')
    if len(parts) == 1:
        return at, repr(rig.OPEN[at - start :])
    if len(parts) in (2, 4):
        string = parts[-1]
        if text[at : at + 1] == '"':
            return at, "a character that is not white space (the query is blank)"
        wanted = "more of the query" if len(parts) == 2 else "more of the value"
        rest = rig.ARROW if len(parts) == 2 else rig.CLOSE
        return at, f"{wanted} or {rest!r}" if string else wanted
    literal = rig.ARROW if len(parts) == 3 else rig.CLOSE
    return at, repr(literal[len(parts[-1]) + 1 :])


def _named(text: str, at: int) -> str:
    if at >= len(text):
        return "the end of the text"
    character = text[at]
    code = f"U+{ord(character):04X}"
    if character == "\n":
        return f"the end of the line ({code})"
    if not character.isprintable():
        return f"{unicodedata.name(character, 'a control character')} ({code})"
    return f"{character!r} ({code})"


def _line_starts(text: str) -> list[int]:
    starts = [0]
    at = text.find("\n")
    while at >= 0:
        starts.append(at + 1)
        at = text.find("\n", at + 1)
    return starts


def _shown(text: str, starts: list[int], line: int, at: int) -> tuple[str, int]:
    first, end = starts[line - 1], starts[line] - 1 if line < len(starts) else len(text)
    begin = max(first, at - CONTEXT // 2)
    part = "".join(c if c.isprintable() else "\ufffd" for c in text[begin : min(end, begin + CONTEXT)])
    before = ("..." if begin > first else "") + part[: at - begin]
    after = part[at - begin :] + ("..." if begin + CONTEXT < end else "")
    return before + after, sum(_columns(character) for character in before)


def _columns(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
