"""What is wrong with an annotation, as a compiler would say it: where, what was expected there, what was found, what to write.

>>> print(diagnose("The share was [__DC__('what was the share of women?') --> \\"52%\\"].")[0].render())
1:23: error D4: expected '"', found "'" (U+0027)
    The share was [__DC__('what was the share of women?') --> "52%"].
                          ^
    write: [__DC__("what was the share of women?") --> "52%"]
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

from impls.rig.events import codes
from impls.rig.grammar import ARROW, CLOSE, OPEN
from impls.rig.lenient import LenientAnnotation, Lost, attempts
from impls.rig.positions import Lines, visible, width
from impls.rig.repair import repaired
from impls.rig.strict import GRAMMARS, STRICT
from impls.rig.writer import serialise_annotation

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
    return list(diagnostics(text, (each for each in attempts(text) if isinstance(each, Lost) or each.defects)))


def diagnostics(text: str, wrong: Iterable[LenientAnnotation | Lost]) -> Iterable[Diagnostic]:
    """The diagnostics of attempts that are known already, each of which has defects or is lost."""
    lines: Lines | None = None
    named: tuple[str, ...]
    for attempt in wrong:
        lines = lines or Lines(text)
        if isinstance(attempt, Lost):
            named, pair = ("truncated" if attempt.truncated else "lost",), None
        else:
            named, pair = codes(attempt.defects), repaired(attempt, text)
        at, expected = stopped(text, attempt.start)
        line, column = lines.place(at)
        source, caret = _shown(text, *lines.extent(line), at)
        yield Diagnostic(
            codes=named,
            expected=expected,
            found=_named(text, at),
            start=attempt.start,
            end=attempt.end,
            at=at,
            line=line,
            column=column,
            source=source,
            caret=caret,
            suggestion=serialise_annotation(*pair) if pair else None,
        )


def stopped(text: str, start: int) -> tuple[int, str]:
    """Where the strict grammar goes no further with an annotation that begins at ``start``, and what it expects there."""
    live = GRAMMARS[STRICT].live.match(text, start)
    if live is None:
        return start, repr(OPEN)
    at, parts = live.end(), live[0].split('"')
    if len(parts) == 1:
        return at, repr(OPEN[at - start :])
    if len(parts) in (2, 4):
        string = parts[-1]
        if text[at : at + 1] == '"':
            return at, "a character that is not white space (the query is blank)"
        wanted = "more of the query" if len(parts) == 2 else "more of the value"
        rest = ARROW if len(parts) == 2 else CLOSE
        return at, f"{wanted} or {rest!r}" if string else wanted
    literal = ARROW if len(parts) == 3 else CLOSE
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


def _shown(text: str, first: int, end: int, at: int) -> tuple[str, int]:
    """The part of the line from ``first`` to ``end`` around ``at``, and the columns of a terminal before it."""
    begin = max(first, at - CONTEXT // 2)
    part = visible(text[begin : min(end, begin + CONTEXT)])
    before = ("..." if begin > first else "") + part[: at - begin]
    return before + part[at - begin :] + ("..." if begin + CONTEXT < end else ""), width(before)
