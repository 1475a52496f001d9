"""A table for the terminal: the verdict on each implementation at each level."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping

from conformance.records.level_verdicts import Conclusion, LevelVerdict, level_verdicts, percent
from conformance.records.schema import JUDGED, Level, VerdictRecord
from impls.systems import SYSTEM_NAMES

LONGEST_REASON = 160


def verdict_table(results: Iterable[VerdictRecord], levels: Mapping[str, Level]) -> list[str]:
    """A header and a line per implementation: its verdict at each level, and how many of its test cases were judged.

    An implementation of which nothing was judged has the commonest reason why.
    """
    by_implementation = by_name(results)
    if not by_implementation:
        return []
    rows = [["", *(level.value for level in Level), "judged"]]
    for name, own in by_implementation.items():
        cells = [cell(verdict) for verdict in level_verdicts(own, levels)]
        judged = sum(result.verdict in JUDGED for result in own)
        rows.append([name, *cells, f"{judged} of {len(own)}" if judged else _reason(own)])
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]) - 1)]
    return ["  ".join(f"{text:<{width}}" for text, width in zip(row, [*widths, 0], strict=True)).rstrip() for row in rows]


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


def _reason(results: list[VerdictRecord]) -> str:
    """The commonest reason why nothing was judged."""
    ((reason, _),) = Counter(result.message for result in results).most_common(1)
    return f"nothing: {textwrap.shorten(reason, LONGEST_REASON, placeholder='...')}" if reason else "nothing"
