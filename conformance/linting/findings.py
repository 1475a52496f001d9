"""A finding says what is wrong, where, and how bad it is; a document's lint is its findings and what was counted in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from enum import IntEnum


class Severity(IntEnum):
    """In the order of weight."""

    NOTE = 0
    """Worth knowing; nothing need be done."""
    WARNING = 1
    """The format holds it, and it is probably not what was wanted."""
    ERROR = 2
    """The format is broken: a strict reader loses something."""


@dataclass(frozen=True)
class LintFinding:
    """``codes`` are stable words; several where one place has several diagnostics. ``start`` and ``end`` count code points."""

    severity: Severity
    codes: tuple[str, ...]
    message: str
    start: int
    end: int
    suggestion: str | None = None
    """What to write from ``start`` to ``end``, where there is one way only to mean it."""


@dataclass
class Lint:
    """One document's lint. ``counts`` are sums of whole numbers, so that those of many documents can be added."""

    findings: list[LintFinding] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(
        self, severity: Severity, codes: str | Iterable[str], message: str, start: int, end: int, suggestion: str | None = None
    ) -> None:
        """Record a finding, and count it under each of its codes."""
        codes = (codes,) if isinstance(codes, str) else tuple(codes)
        self.findings.append(LintFinding(severity, codes, message, start, end, suggestion))

    def forgive(self, read: Callable[[LintFinding], bool]) -> Lint:
        """The same lint with every error for which ``read`` says so as a warning."""
        lighter = [
            replace(each, severity=Severity.WARNING) if each.severity is Severity.ERROR and read(each) else each
            for each in self.findings
        ]
        return Lint(lighter, self.counts)


@dataclass(frozen=True)
class Linter:
    """What the command needs to know of a system."""

    system: str
    lint: Callable[[str], Lint]
    fix: Callable[[str], str]
    """The document with everything repaired that is safe to repair."""
    columns: tuple[str, ...]
    """Counts that the table of files shows, in its order."""
    ratios: Callable[[Counter[str]], dict[str, float | None]]
    """Figures made of the counts; None where there is nothing to divide by."""
    forgiven: Callable[[str, Lint], Lint]
    """The lint for those who read with the official reader: errors that it does not mind are warnings."""
