"""Find the declaration that would make all failures of an implementation vanish: a numerical class, a dtype or a feature.

A right implementation that declares nothing is held to the strictest class and may fail by the hundred. The user is then told
which one word would change that, and what it means.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from conformance.engine.check import Case, Check, run_check, worst_of
from conformance.engine.comparison import Comparison
from conformance.engine.harness import connect
from conformance.engine.isolation import process_state_of
from conformance.engine.outcome import outcome_of
from conformance.engine.runner import TestCase
from conformance.engine.selection import checks_of
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

MOST_RUN_AGAIN = 24
"""So many of the failures are run again for each class: the worst of every requirement, then the next."""


@dataclass(frozen=True)
class OtherClass:
    """A numerical class (of a text reader: a profile) under which none of the failures that were run again fails."""

    name: str
    description: str
    """What it allows, in the reference's words."""
    run_again: int
    """How many of the failures were run again under it, the worst first."""
    failures: int
    margin: float
    """The worst margin of those: the class whose margin is nearest to 1 fits best."""


def other_classes(implementation: Implementation, failures: Sequence[VerdictRecord]) -> tuple[OtherClass, ...]:
    """The other classes under which all of these failures vanish, the one that fits best first; empty where none does.

    ``failures`` are the failed verdicts of one run; crashes among them are left aside, since no class allows them. Each class
    is given up at the first failure that stays, so that this takes a few runs of the implementation, and `MOST_RUN_AGAIN`
    for each class that fits. A class that declares most of them a gap, or whose bounds tell nothing there, does not fit.
    """
    failed = [each for each in failures if each.verdict is Verdict.FAIL]
    cases = [
        TestCase(implementation, check, case, each.dtype, each.device)
        for each in worst_of_each(failed)
        for check, case in places_of(each)
    ]
    return tuple(replace(each, failures=len(failed)) for each in classes_that_fit(implementation, cases))


def classes_that_fit(
    implementation: Implementation, cases: Sequence[TestCase], conclusive: float = 0.5
) -> tuple[OtherClass, ...]:
    """The other classes under which all of these test cases pass, the one that fits best first; ``conclusive`` as below."""
    found = []
    for name, description in classes_beside(implementation):
        margins = margins_of_class(replace(implementation, numerical_class=name), cases, conclusive)
        if margins:
            found.append(OtherClass(name, description, len(cases), len(cases), max(margins)))
    return tuple(sorted(found, key=lambda each: -each.margin))


def common_to(failures: Iterable[VerdictRecord]) -> tuple[tuple[str, ...], frozenset[str]]:
    """The dtypes of all these failures, and the features that every one of their cases needs.

    Where there is one dtype, an implementation that does not declare it has no failure left; likewise one that declares a set
    of features without one of those.
    """
    dtypes: dict[str, None] = {}
    needs: frozenset[str] | None = None
    for each in failures:
        dtypes[each.dtype] = None
        found = next((case.needs for _, case in places_of(each)), frozenset[str]())
        needs = found if needs is None else needs & found
    return tuple(dtypes), needs or frozenset()


def classes_beside(implementation: Implementation) -> Iterator[tuple[str, str]]:
    """The name and the description of every class of the system but the declared one."""
    reference = importlib.import_module(f"reference.{implementation.system}")
    table = getattr(reference, "NUMERICAL_CLASSES", None) or reference.PROFILES
    strictest = next(iter(table.values()))
    own = table.get(implementation.numerical_class, strictest)
    for name, each in table.items():
        if name and each.description != own.description:
            yield name, each.description


def worst_of_each(failures: Iterable[VerdictRecord]) -> list[VerdictRecord]:
    """At most `MOST_RUN_AGAIN`: of every requirement the worst, then the second of every requirement, and so on."""
    rank: dict[str, int] = {}
    ordered: list[tuple[int, int, VerdictRecord]] = []
    for each in sorted(failures, key=lambda each: -(each.margin or 0.0)):
        rank[each.requirement] = rank.get(each.requirement, -1) + 1
        ordered.append((rank[each.requirement], len(ordered), each))
    return [each for _, _, each in sorted(ordered)[:MOST_RUN_AGAIN]]


def places_of(failure: VerdictRecord) -> Iterator[tuple[Check, Case]]:
    """Where a failure was found; nothing where the suite no longer has that case. Two checks may share a case's id."""
    for check in checks_of(failure.system):
        if check.requirement == failure.requirement:
            yield from ((check, case) for case in check.cases if case.id == failure.case)


def margins_of_class(implementation: Implementation, cases: Sequence[TestCase], conclusive: float = 0.5) -> list[float]:
    """The margins of these test cases under the implementation's class; empty where it does not make all of them pass.

    More than the share ``conclusive`` of them must prove something: neither a gap nor a bound that admits no change.
    """
    margins = []
    for each in cases:
        try:
            with process_state_of(implementation.selector):
                worst = worst_of(found := run_check(each.check, connect(implementation, each.device), each.case, each.dtype))
        except BaseException as error:
            if outcome_of(error)[0] is Verdict.UNSUPPORTED:
                continue  # the class declares this a gap
            return []
        if not worst.passed:
            return []
        if is_telling(found):
            margins.append(worst.margin)
    return margins if len(margins) > conclusive * len(cases) else []


def is_telling(comparisons: Iterable[Comparison]) -> bool:
    """Whether every bound is smaller than the change that it is to tell."""
    return all(one.resolution is None or one.resolution < 1 for one in comparisons)
