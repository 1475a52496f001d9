"""Read a list of known failures, so that the suite can be adopted before everything is fixed.

One entry a line: a requirement id or glob, then, optionally, an implementation glob and a case glob.
``#`` begins a comment.
A failure that an entry matches no longer fails the run; its verdict stays what it is.
An entry that matched no failure is stale.
"""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass
from pathlib import Path

from conformance.records.schema import RED, VerdictRecord


@dataclass(frozen=True)
class Entry:
    """One line of the file."""

    line: int
    text: str
    requirement: str
    implementation: str
    case: str

    def matches(self, result: VerdictRecord) -> bool:
        """Whether this entry names the test case of that result, whatever its verdict."""
        return (
            fnmatch.fnmatchcase(result.requirement, self.requirement)
            and fnmatch.fnmatchcase(result.implementation, self.implementation)
            and fnmatch.fnmatchcase(result.case, self.case)
        )


def read(path: str | Path) -> tuple[Entry, ...]:
    """The entries of a file; ValueError names the file, the line, what was found and what was expected."""
    try:
        text = Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"--xfails {path}: cannot be read: {error}") from error
    entries = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        if len(words) > 3:
            raise ValueError(
                f"--xfails {path}, line {number}: found {len(words)} words, "
                "expected at most 3: REQUIREMENT [IMPLEMENTATION [CASE]]"
            )
        requirement, implementation, case = (*words, "*", "*")[:3]
        entries.append(Entry(number, " ".join(words), requirement, implementation, case))
    return tuple(entries)


def expected(entries: tuple[Entry, ...], result: VerdictRecord) -> Entry | None:
    """The entry that expects this failing result, if any."""
    if result.verdict not in RED:
        return None
    return next((entry for entry in entries if entry.matches(result)), None)


def stale(entries: tuple[Entry, ...], results: list[VerdictRecord]) -> list[Entry]:
    """The entries that matched no failure of this run."""
    return [entry for entry in entries if not any(expected((entry,), result) for result in results)]
