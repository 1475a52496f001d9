"""A requirement is one rule with a stable id, a source, and the bug that it exists to catch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Requirement:
    """``id`` never changes meaning once published; reports, expected-failure files and discussions speak in it."""

    id: str
    statement: str
    """One sentence that an implementation satisfies or does not."""
    source: str
    """Where the rule stands: paper section, equation or algorithm line; or the declared behaviour it follows from."""
    catches: str
    """The bug that it exists to catch, as one phrase."""
