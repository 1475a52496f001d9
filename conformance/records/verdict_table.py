"""A table for the terminal: the verdict on each implementation at each level."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from conformance.records.level_verdicts import Conclusion, LevelVerdict, level_verdicts, percent
from conformance.records.schema import JUDGED, Level, VerdictRecord
from impls.systems import SYSTEM_NAMES


def verdict_table(results: Iterable[VerdictRecord], levels: Mapping[str, Level]) -> list[str]:
    """A line per implementation: its verdict at each level, and how many of its test cases were judged.

    Those of which nothing was judged come last, in one line for each reason.
    """
    rows = [["", *(level.value for level in Level), "judged"]]
    unjudged: dict[str, list[str]] = {}
    for name, own in by_name(results).items():
        judged = sum(result.verdict in JUDGED for result in own)
        if judged:
            rows.append([name, *map(cell, level_verdicts(own, levels)), f"{judged} of {len(own)}"])
        else:
            ((reason, _),) = Counter(result.message for result in own).most_common(1)
            unjudged.setdefault(reason, []).append(name)
    lines = aligned(rows) if len(rows) > 1 else []
    return lines + [f"not judged: {', '.join(names)}: {reason}" for reason, names in unjudged.items()]


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """A line for each row, with columns as wide as their longest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def by_name(results: Iterable[VerdictRecord]) -> dict[str, list[VerdictRecord]]:
    """The verdicts on each implementation, system by system, and by name within a system."""
    found: dict[str, list[VerdictRecord]] = {}
    for result in results:
        found.setdefault(result.implementation, []).append(result)
    return dict(sorted(found.items(), key=lambda item: (SYSTEM_NAMES.index(item[1][0].system), item[0])))


def cell(verdict: LevelVerdict) -> str:
    """A verdict in a few characters: ``differs 2/31`` counts requirements, ``partly, 17 %`` the cases that were judged."""
    if verdict.red:
        known = " known" if verdict.known == verdict.red else ""
        authors = " as authors" if verdict.only_as_authors else ""
        return f"{verdict.conclusion.value} {len(verdict.broken)}/{verdict.requirements}{known or authors}"
    if verdict.conclusion is Conclusion.PARTLY_JUDGED:
        return f"partly, {percent(verdict.share)}"
    return "-" if verdict.conclusion is Conclusion.NOT_JUDGED else verdict.conclusion.value
