"""A table for the terminal: the number of verdicts of each kind and the worst margin of every implementation."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

from conformance.records.schema import Verdict, VerdictRecord
from impls.systems import SYSTEM_NAMES

LONGEST_REASON = 160
COLUMNS = {
    "pass": Verdict.PASS,
    "fail": Verdict.FAIL,
    "error": Verdict.ERROR,
    "incon": Verdict.INCONCLUSIVE,
    "unsup": Verdict.UNSUPPORTED,
    "n.run": Verdict.NOT_RUN,
}


def verdict_table(results: Iterable[VerdictRecord]) -> list[str]:
    """A header and a line per implementation: the number of verdicts of each kind, and its worst margin."""
    by_implementation: dict[str, list[VerdictRecord]] = {}
    for result in results:
        by_implementation.setdefault(result.implementation, []).append(result)
    if not by_implementation:
        return []
    width = max(map(len, by_implementation))
    lines = [f"{'':{width}}  {' '.join(f'{word:>5}' for word in COLUMNS)}  worst margin"]
    for name, own in sorted(by_implementation.items(), key=lambda item: (SYSTEM_NAMES.index(item[1][0].system), item[0])):
        counts = Counter(result.verdict for result in own)
        numbers = " ".join(f"{counts[verdict]:>5}" for verdict in COLUMNS.values())
        lines.append(f"{name:<{width}}  {numbers}  {_worst(own)}")
    return lines


def _worst(results: list[VerdictRecord]) -> str:
    """The largest margin and its place; where nothing was compared, the commonest reason why."""
    measured = [(result.margin, result) for result in results if result.margin is not None]
    if not measured:
        ((reason, _),) = Counter(result.message for result in results).most_common(1)
        return f"- ({textwrap.shorten(reason, LONGEST_REASON, placeholder='...')})" if reason else "-"
    margin, worst = max(measured, key=lambda pair: pair[0])
    place = " ".join(part for part in (worst.requirement, worst.case, worst.dtype) if part)
    return f"{margin:.3g} ({place})" if margin > 0 else f"{margin:.3g}"
