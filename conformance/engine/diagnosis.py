"""Diagnose failures: find the mutants that give the same wrong values, and rank them over all of an implementation's."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from conformance.engine.check import Case, Check, run_check, worst_of
from conformance.engine.comparison import Comparison, margins_of
from conformance.engine.kept import kept
from conformance.engine.mutation import Mutant, OnFailure, concerns, mutants_of
from conformance.engine.selection import COMBINED, is_large, is_thorough
from conformance.records.level_verdicts import AS_THE_AUTHORS
from conformance.records.schema import JUDGED, RED, Verdict, VerdictRecord

MOST_SHOWN = 3
"""So many mutants are named in words. A failure that resembles many has no likeliest reason of its own."""


@dataclass(frozen=True)
class Likeliest:
    """A mutant that explains most of the failures which nothing before it explains."""

    mutant: str
    sentence: str
    explained: int
    """How many of the implementation's failures it explains."""
    failures: int
    """How many failures there are. A crash is none: it shows no values to compare."""
    others: tuple[str, ...] = ()
    """Further mutants that explain exactly the same failures: one of them is as likely."""

    @property
    def share(self) -> float:
        """The explained part of the failures."""
        return self.explained / self.failures


def ranked(verdicts: Iterable[VerdictRecord]) -> tuple[Likeliest, ...]:
    """The likeliest causes of one implementation's failures, best first; empty rather than a guess.

    ``verdicts`` are all of one implementation, passes included. A mutant is named where it explains more than half of the
    failures that are not explained yet, so that each name stands for a bug of its own; or where it explains those of the
    requirements that must catch it, all of them, and of another, since an implementation may have several bugs. Of the
    requirements that must catch it, one must have failed, or it explains every failure: a quick run may lack the case that
    catches it. Rows of a covering array count where nothing else failed: a simple bug fails many of them, and they are
    compared with few mutants.
    """
    everything = list(verdicts)
    failures = failures_to_explain(everything)
    if not failures:
        return ()
    mutants = {mutant.name: mutant for mutant in mutants_of(failures[0].system)}
    explains: dict[str, set[int]] = {}
    for number, failure in enumerate(failures):
        for name in failure.candidates:
            explains.setdefault(name, set()).add(number)
    for name, own in list(explains.items()):
        if name not in mutants or (len(own) < len(failures) and not is_possible(mutants[name], everything)):
            del explains[name]
    found: list[Likeliest] = []
    left = set(range(len(failures)))
    while left and explains:
        order = {name: (-len(own & left), -len(own), name) for name, own in explains.items()}
        best = min(order, key=lambda name: order[name])
        if 2 * len(explains[best] & left) <= len(left):
            typical = [name for name in explains if _explains_its_own(mutants[name], explains[name] & left, failures)]
            if not typical:
                break
            best = min(typical, key=lambda name: order[name])
        others = sorted(name for name, own in explains.items() if own == explains[best] and name != best)
        found.append(Likeliest(best, mutants[best].sentence, len(explains[best]), len(failures), tuple(others)))
        left -= explains[best]
    return tuple(found)


def failures_to_explain(verdicts: Sequence[VerdictRecord]) -> list[VerdictRecord]:
    """The failures, without rows of a covering array where others failed."""
    failed = [each for each in verdicts if each.verdict is Verdict.FAIL]
    return [each for each in failed if not each.case.startswith(COMBINED)] or failed


def _explains_its_own(mutant: Mutant, explained: set[int], failures: Sequence[VerdictRecord]) -> bool:
    """Whether it explains every failure of the requirements that must catch it, and one of another requirement."""
    own = {number for number, each in enumerate(failures) if each.requirement in mutant.killed_by}
    return bool(own) and own < explained


def is_possible(mutant: Mutant, verdicts: Sequence[VerdictRecord]) -> bool:
    """Whether a requirement that must catch it failed, or none of those was judged."""
    judged = [each for each in verdicts if each.requirement in mutant.killed_by and each.verdict in JUDGED]
    return not judged or any(each.verdict in RED for each in judged)


NEARLY = 1 / 20
"""The part of a failure's margin that a mutant may leave unexplained where a coarser rounding is thought to add to it."""


def resembling(
    system: str, check: Check, case: Case, dtype: str, comparisons: Sequence[Comparison], nearly: bool = False
) -> tuple[str, ...]:
    """The names of the mutants that this failure resembles, the nearest first.

    A mutant resembles the implementation where it fails the same check, and where the two are closer to each other than
    the implementation is to the right answer: by half of its margin, and by two bounds at most, since each may be off by one
    bound from the same wrong answer. The comparisons of a check are matched by their order. With ``nearly`` it is enough that
    a mutant leaves `NEARLY` of the margin, since wrong answers that are larger than right ones are rounded further off; and
    rows of a covering array are compared with all mutants, which takes long.
    """
    near: dict[str, float] = {}
    for mutant in mutants_of(system):
        if mutant.honest or mutant.equivalent or not _may_explain(mutant, check, case, nearly):
            continue
        theirs = _comparisons(mutant, check, case, dtype)
        if theirs is not None and resembles(comparisons, theirs, nearly):
            near[mutant.name] = _distance(comparisons, theirs)
    return tuple(sorted(near, key=lambda name: near[name]))


def _may_explain(mutant: Mutant, check: Check, case: Case, every: bool) -> bool:
    """Whether to compare a failure with a mutant. What the authors' own code does is compared with every row of an array too.

    It decides what the verdict is called, and one such row would turn "as the authors' code" into "differs". With ``every``
    all mutants are, but for those that take long. What only a case of ``--thorough`` can catch is right in all others.
    """
    if mutant.thorough and not is_thorough(case):
        return False
    is_short = not (mutant.slow or is_thorough(case) or is_large(case))
    return (is_short and (every or AS_THE_AUTHORS in mutant.sentence)) or concerns(mutant, check, case)


def shows_in(mutant: Mutant, check: Check, case: Case, dtype: str) -> bool:
    """Whether the mutant gives wrong values in this case."""
    comparisons = _comparisons(mutant, check, case, dtype)
    return comparisons is not None and not worst_of(comparisons).passed


def in_words(system: str, names: Sequence[str]) -> str:
    """``name: sentence`` of the first of these mutants, joined by ``; or ``; "" for none."""
    sentences = {mutant.name: mutant.sentence for mutant in mutants_of(system)}
    shown = "; or ".join(f"{name}: {sentences[name]}" for name in names[:MOST_SHOWN])
    return shown + (f"; or {len(names) - MOST_SHOWN} more" if len(names) > MOST_SHOWN else "")


def self_diagnosis(every_case: bool) -> tuple[OnFailure, list[str]]:
    """What to call on a mutant's failures, and the list to which it adds those that would not be diagnosed as that mutant.

    Without ``every_case`` the first failure of each requirement, since each takes another run of its check.
    """
    seen: set[str] = set()
    unlike: list[str] = []

    def diagnose(mutant: Mutant, check: Check, case: Case, dtype: str, comparisons: Sequence[Comparison]) -> None:
        if mutant.by_chance or (check.requirement in seen and not every_case):
            return
        seen.add(check.requirement)
        theirs = _comparisons(mutant, check, case, dtype)
        if theirs is None or not resembles(comparisons, theirs):
            unlike.append(" ".join(filter(None, (check.requirement, case.id, dtype))))

    return diagnose, unlike


@kept
def _comparisons(mutant: Mutant, check: Check, case: Case, dtype: str) -> list[Comparison] | None:
    """What the mutant, made anew, gives: one that remembers earlier calls must not be met with a past of its own."""
    try:
        return run_check(check, mutant.subject(), case, dtype)
    except Exception:
        return None  # it cannot run this case, so it explains nothing here


def resembles(ours: Sequence[Comparison], theirs: Sequence[Comparison], nearly: bool = False) -> bool:
    """Whether the two are wrong in the same way; `resembling` says what that is."""
    if all(comparison.passed for comparison in theirs):
        return False
    margin = worst_of(ours).margin
    limit = min(2.0, math.inf if math.isnan(margin) else margin / 2)
    return _distance(ours, theirs) <= (max(limit, NEARLY * margin) if nearly and math.isfinite(margin) else limit)


def _distance(ours: Sequence[Comparison], theirs: Sequence[Comparison]) -> float:
    """The largest difference of two comparisons of one quantity, in bounds; inf where one of ours has no counterpart."""
    numbered = _numbered(theirs)
    return max(_apart(own, numbered[key]) if key in numbered else math.inf for key, own in _numbered(ours).items())


def _numbered(comparisons: Sequence[Comparison]) -> Mapping[tuple[str, int], Comparison]:
    """The comparisons by quantity and number, since a check may compare one quantity several times."""
    seen: Counter[str] = Counter()
    numbered = {}
    for comparison in comparisons:
        numbered[comparison.quantity, seen[comparison.quantity]] = comparison
        seen[comparison.quantity] += 1
    return numbered


def _apart(own: Comparison, other: Comparison) -> float:
    if not isinstance(own.got_values, np.ndarray) or not isinstance(other.got_values, np.ndarray):
        same = type(own.got_values) is type(other.got_values) and own.got_values == other.got_values
        return 0.0 if same else math.inf
    if own.got_values.shape != other.got_values.shape:
        return math.inf
    bound = own.bound_values if own.bound_values is not None else other.bound_values
    if bound is None or not own.got_values.size:
        return 0.0 if np.array_equal(own.got_values, other.got_values, equal_nan=True) else math.inf
    return float(margins_of(own.got_values, other.got_values, bound).max())
