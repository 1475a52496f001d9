"""Every implementation in one line of a terminal: how many verdicts of each kind, and where it came nearest to failing."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

from conformance.verdict import Judgement, Verdict
from impls.systems import SYSTEMS

COLUMNS = {
    "pass": Verdict.PASS,
    "fail": Verdict.FAIL,
    "error": Verdict.ERROR,
    "unsup": Verdict.UNSUPPORTED,
    "n.run": Verdict.NOT_RUN,
}


def league(judgements: Iterable[Judgement]) -> list[str]:
    """A header and a line per implementation, system by system; nothing where there is no judgement."""
    by_implementation: dict[str, list[Judgement]] = {}
    for judgement in judgements:
        by_implementation.setdefault(judgement.implementation, []).append(judgement)
    if not by_implementation:
        return []
    width = max(map(len, by_implementation))
    lines = [f"{'':{width}}  {' '.join(f'{word:>5}' for word in COLUMNS)}  worst margin"]
    order = [system.name for system in SYSTEMS]
    for name, own in sorted(by_implementation.items(), key=lambda item: (order.index(item[1][0].system), item[0])):
        counts = Counter(judgement.verdict for judgement in own)
        numbers = " ".join(f"{counts[verdict]:>5}" for verdict in COLUMNS.values())
        lines.append(f"{name:<{width}}  {numbers}  {_worst(own)}")
    return lines


LONGEST_REASON = 160


def _worst(judgements: list[Judgement]) -> str:
    """The largest margin and its place; where nothing was compared, the commonest reason why."""
    measured = [(judgement.margin, judgement) for judgement in judgements if judgement.margin is not None]
    if not measured:
        ((reason, _),) = Counter(judgement.message for judgement in judgements).most_common(1)
        return f"- ({textwrap.shorten(reason, LONGEST_REASON, placeholder='...')})" if reason else "-"
    margin, worst = max(measured, key=lambda pair: pair[0])
    place = " ".join(part for part in (worst.requirement, worst.case, worst.dtype) if part)
    return f"{margin:.3g} ({place})" if margin > 0 else f"{margin:.3g}"
