"""Say which verdicts were lost and won, case by case; a case that only one run tested is no change of the implementation."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from conformance.records.schema import RED, Level, RequirementRecord, Verdict, VerdictRecord
from conformance.regression.pairs import VerdictChange, VerdictPair, pair_verdicts
from reports.diff.change import Change, shown, some
from reports.evidence import Evidence
from reports.numbers import count, margin
from reports.ranking import requirement_named, worst_first

ONE_BIT = 2.0
"""A worst margin that at least doubled or halved (a bit of accuracy) has moved notably ..."""
NEAR = 0.1
"""... unless it is below this in both runs, where ten times the error would still pass."""

NOW = {Verdict.FAIL: "fails", Verdict.ERROR: "crashes", Verdict.UNSUPPORTED: "is declared a gap"}
BEFORE = {Verdict.FAIL: "failed", Verdict.ERROR: "crashed", Verdict.UNSUPPORTED: "was a declared gap"}
NOW |= {Verdict.PASS: "passes", Verdict.INCONCLUSIVE: "is inconclusive"}
EVER = {**BEFORE, Verdict.PASS: "passed", Verdict.INCONCLUSIVE: "was inconclusive", Verdict.NOT_RUN: "was not run"}


@dataclass
class Verdicts:
    """Changes of one kind each, in the order of the suite."""

    lost: list[Change] = field(default_factory=list)
    won: list[Change] = field(default_factory=list)
    otherwise: list[Change] = field(default_factory=list)
    """Red now, but not passed before; red before, and declared a gap or not tested again."""
    unjudged: list[Change] = field(default_factory=list)
    """Passed or red before and not run now."""
    margins: list[Change] = field(default_factory=list)
    shared: int = 0
    """How many cases both runs tested."""


Cell = Mapping[tuple[str, str, str], VerdictRecord]
"""The results of one implementation on one requirement by case, dtype and device."""


def compare_verdicts(old: Evidence, new: Evidence) -> Verdicts:
    """Every implementation and requirement that both know."""
    found = Verdicts()
    known = {implementation.name for implementation in old.implementations}
    for implementation in new.implementations:
        if implementation.name not in known:
            continue
        before, after = _cells(old, implementation.name), _cells(new, implementation.name)
        for id_ in _ids(new, implementation.system, before, after):
            rule = requirement_named(new, implementation.system, id_)
            words = f"{shown(implementation.name)}, {_rule(rule)}"
            # Of a reading the paper says nothing, so that a change of it is told and is none for the worse.
            _compare_cell(found, words, before[id_], after[id_], rule.level is not Level.READING)
        moved = [text for id_ in sorted(before.keys() & after.keys()) for text in _moved(id_, before[id_], after[id_])]
        if moved:
            found.margins.append(Change(f"{shown(implementation.name)}: {', '.join(moved)}"))
    return found


def _cells(evidence: Evidence, name: str) -> dict[str, dict[tuple[str, str, str], VerdictRecord]]:
    cells: dict[str, dict[tuple[str, str, str], VerdictRecord]] = {}
    for result in evidence.judgements_of(name):
        cells.setdefault(result.requirement, {})[result.case, result.dtype, result.device] = result
    return cells


def _ids(evidence: Evidence, system: str, before: Mapping[str, Cell], after: Mapping[str, Cell]) -> Iterator[str]:
    both = before.keys() & after.keys()
    listed = [requirement.id for requirement in evidence.requirements_of(system)]
    yield from (id_ for id_ in listed if id_ in both)
    yield from sorted(both - set(listed))


def _rule(requirement: RequirementRecord) -> str:
    level = f"{requirement.level.value}: " if requirement.level else ""
    return f"{shown(requirement.id)} ({level}{shown(requirement.statement).rstrip('.')})"


def _compare_cell(found: Verdicts, words: str, before: Cell, after: Cell, decides: bool) -> None:
    pairs = pair_verdicts(before.values(), [after[key] for key in sorted(after)])
    found.shared += len(pairs)
    lost = [pair for pair in pairs if pair.change is VerdictChange.LOST]
    won = [pair for pair in pairs if pair.change is VerdictChange.WON]
    # A case that only the new run tested may fail without anything having changed: the verdict is lost all the same.
    fresh = [after[key] for key in sorted(after.keys() - before.keys()) if after[key].verdict in RED]
    was_clean = any(j.verdict is Verdict.PASS for j in before.values()) and not any(j.verdict in RED for j in before.values())
    if lost:
        found.lost.append(_lost(words, lost, decides))
    elif fresh and was_clean:
        worst = min(fresh, key=worst_first)
        text = f"{words}: passed, now {NOW[worst.verdict]} in {_named(fresh, worst)} that the first run did not test"
        found.lost.append(Change(text + _margin_of(worst), worse=decides, again=worst.reproduce))
    if won:
        found.won.append(Change(f"{words}: {_verbs(BEFORE, [pair.before for pair in won])}, now passes in {_where(won)}"))
    other = [
        pair
        for pair in pairs
        if pair.change is VerdictChange.OTHER and (pair.now.verdict in RED or pair.before.verdict in RED)
    ]
    if other:
        text = f"{_verbs(EVER, [pair.before for pair in other])}, now {_verbs(NOW, [pair.now for pair in other])}"
        found.otherwise.append(Change(f"{words}: {text} in {_where(other)}"))
    gone = [before[key] for key in sorted(before.keys() - after.keys()) if before[key].verdict in RED]
    if gone and not any(result.verdict in RED for result in after.values()):
        worst = min(gone, key=worst_first)
        found.otherwise.append(Change(f"{words}: {BEFORE[worst.verdict]} in {_named(gone, worst)} that was not tested again"))
    idle = [pair for pair in pairs if pair.change is VerdictChange.NOT_RUN]
    if idle:
        reason = f" ({shown(idle[0].now.message)})" if idle[0].now.message else ""
        found.unjudged.append(Change(f"{words}: judged before, not run now in {_where(idle)}{reason}"))


def _lost(words: str, pairs: Sequence[VerdictPair], decides: bool) -> Change:
    # What fails comes before what crashes, and both before a gap that is declared now.
    rank = {Verdict.FAIL: 0, Verdict.ERROR: 1, Verdict.UNSUPPORTED: 2}
    worst = min(pairs, key=lambda pair: (rank[pair.now.verdict], worst_first(pair.now)))
    old, new = worst.before, worst.now
    text = f"{words}: passed, now {_verbs(NOW, [pair.now for pair in pairs])} in {_where(pairs, worst)}"
    if new.verdict is Verdict.FAIL:
        text += f", margin {margin(old.margin)} before, {margin(new.margin)} now"
        if new.resembles:
            text += f"; as if: {shown(new.resembles)}"
    elif new.message:
        text += f": {shown(new.message)}"
    return Change(text, worse=decides, again=new.reproduce)


def _verbs(verbs: Mapping[Verdict, str], results: Sequence[VerdictRecord]) -> str:
    present = {result.verdict for result in results}
    return " or ".join(verb for verdict, verb in verbs.items() if verdict in present)


def _where(pairs: Sequence[VerdictPair], first: VerdictPair | None = None) -> str:
    ordered = sorted(pairs, key=lambda pair: pair != first)
    return f"{count(len(pairs), 'case')}: {some([_place(pair.now) for pair in ordered], 2)}"


def _named(results: Sequence[VerdictRecord], first: VerdictRecord) -> str:
    ordered = sorted(results, key=lambda result: result != first)
    return f"{count(len(results), 'case')} ({some([_place(result) for result in ordered], 2)})"


def _place(result: VerdictRecord) -> str:
    return " ".join(shown(word) for word in (result.case, result.dtype, result.device) if word)


def _margin_of(result: VerdictRecord) -> str:
    return "" if result.margin is None else f", margin {margin(result.margin)}"


def _moved(id_: str, before: Cell, after: Cell) -> Iterator[str]:
    """The worst margin over the cases that passed in both."""
    both = [
        (before[key].margin, after[key].margin)
        for key in before.keys() & after.keys()
        if before[key].verdict is after[key].verdict is Verdict.PASS
    ]
    old = max((value for value, _ in both if value is not None), default=None)
    new = max((value for _, value in both if value is not None), default=None)
    if old is None or new is None or max(old, new) < NEAR:
        return
    factor = math.inf if min(old, new) == 0 else max(old, new) / min(old, new)
    if factor >= ONE_BIT:
        yield f"{shown(id_)} {margin(old)} → {margin(new)}"
