"""Diagnose failures that have several causes at once: a numerical class that was not declared, and planted bugs.

Where two causes meet in one case its values are those of neither. Each still shows alone in other cases: so they are found.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from conformance.engine.check import run_check, worst_of
from conformance.engine.comparison import Comparison
from conformance.engine.diagnosis import Likeliest, failures_to_explain, is_possible, resembling, shows_in
from conformance.engine.harness import connect
from conformance.engine.isolation import process_state_of
from conformance.engine.mutation import Mutant, mutants_of
from conformance.engine.other_classes import OtherClass, classes_beside, is_telling, places_of, worst_of_each
from conformance.engine.outcome import outcome_of
from conformance.engine.runner import TestCase
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

ENOUGH = 0.9
"""The share of the failures that causes must explain together."""
FEWEST = 2
"""So many failures each cause must explain that no other does."""
MOST_ROWS = 6
"""So many failed rows of a covering array are looked at beside other failures."""
MOST_PAIRS = 12
"""So many pairs of mutants are tried, those first that explain most."""
MOST_MET = 24
"""In so many failures both mutants of a pair are run, to see whether both show there."""

Run = Callable[[str, TestCase], Sequence[Comparison]]
"""What an implementation gives in a test case, judged by the numerical class of that name."""
Explained = Sequence[tuple[TestCase, Sequence[str]]]
"""Failures, each with the mutants that it resembles."""


@dataclass(frozen=True)
class SeveralCauses:
    """What explains the failures together, the mutant first that explains most."""

    mutants: tuple[Likeliest, ...]
    other_class: OtherClass | None = None
    """The class under which some failures vanish; the mutants explain those of the others that were judged by it."""


def several_causes(
    implementation: Implementation, results: Sequence[VerdictRecord], run: Run | None = None
) -> SeveralCauses | None:
    """Two mutants, or a numerical class with one or two, that together explain an implementation's failures; else None.

    ``results`` are all its verdicts; ``run`` runs it, where that is not done as usual. Two mutants explain failures where each
    has the values of one of them, or is one in which both show. With a class, they explain what does not pass under it.
    """
    failures = failures_to_explain(results)
    places = [(_test_case(implementation, each), each.candidates) for each in failures]
    causes = _pair([(place, names) for place, names in places if place], results)
    if causes:
        return SeveralCauses(causes)
    rows = [each for each in results if each.verdict is Verdict.FAIL and each not in failures]
    looked_at = [_test_case(implementation, each) for each in (*worst_of_each(failures), *worst_of_each(rows)[:MOST_ROWS])]
    return _with_class(implementation, list(filter(None, looked_at)), results, run or _run)


def explain_enough(causes: Sequence[Likeliest], results: Sequence[VerdictRecord]) -> bool:
    """Whether these causes, each of which explains failures of its own, leave little to explain."""
    names = {each.mutant for each in causes}
    failures = failures_to_explain(results)
    return sum(not names.isdisjoint(each.candidates) for each in failures) >= ENOUGH * len(failures)


def _test_case(implementation: Implementation, failure: VerdictRecord) -> TestCase | None:
    """Where it failed; None where the suite no longer has that case."""
    found = next(places_of(failure), None)
    return TestCase(implementation, *found, failure.dtype, failure.device) if found else None


def _with_class(
    implementation: Implementation, looked_at: Sequence[TestCase], results: Sequence[VerdictRecord], run: Run
) -> SeveralCauses | None:
    """The class under which most of these failures vanish, with what explains those that stay."""
    judged = {each: _judged_by(each[0], looked_at, run) for each in classes_beside(implementation)}
    fitting = {each: max(worst_of(c).margin for _, c in gone) for each, (gone, _) in judged.items() if len(gone) >= FEWEST}
    for name, description in sorted(fitting, key=lambda each: (-len(judged[each][0]), -fitting[each])):
        gone, stay = judged[name, description]
        explained = [
            (each, resembling(implementation.system, each.check, each.case, each.dtype, comparisons, nearly=True))
            for each, comparisons in stay
        ]
        causes = _one(explained, results) or _pair(explained, results)
        if causes:
            looked = len(gone) + len(stay)
            return SeveralCauses(causes, OtherClass(name, description, looked, len(gone), fitting[name, description]))
    return None


Judged = list[tuple[TestCase, Sequence[Comparison]]]


def _judged_by(name: str, cases: Sequence[TestCase], run: Run) -> tuple[Judged, Judged]:
    """Those that pass by a class's bounds, which must tell something there, and those that fail by them."""
    gone: Judged = []
    stay: Judged = []
    for each in cases:
        try:
            comparisons = run(name, each)
        except BaseException as error:
            outcome_of(error)
            continue  # a gap of that class, or a crash, which is no wrong value
        if not worst_of(comparisons).passed:
            stay.append((each, comparisons))
        elif is_telling(comparisons):
            gone.append((each, comparisons))
    return gone, stay


def _run(name: str, each: TestCase) -> Sequence[Comparison]:
    implementation = replace(each.implementation, numerical_class=name)
    with process_state_of(implementation.selector):
        return run_check(each.check, connect(implementation, each.device), each.case, each.dtype)


def _groups(failures: Explained, results: Sequence[VerdictRecord]) -> dict[frozenset[int], list[Mutant]]:
    """The mutants that explain some failures, by the numbers of those, in the order of their names."""
    explains: dict[str, set[int]] = {}
    for number, (_, names) in enumerate(failures):
        for name in names:
            explains.setdefault(name, set()).add(number)
    mutants = {mutant.name: mutant for mutant in mutants_of(results[0].system)}
    groups: dict[frozenset[int], list[Mutant]] = {}
    for name, own in sorted(explains.items()):
        if name in mutants and (len(own) == len(failures) or is_possible(mutants[name], results)):
            groups.setdefault(frozenset(own), []).append(mutants[name])
    return groups


def _one(failures: Explained, results: Sequence[VerdictRecord]) -> tuple[Likeliest, ...]:
    """The mutant that explains most of these failures and shows in the others; none where there is no such mutant."""
    groups = _groups(failures, results)
    most = max(groups, key=lambda own: (len(own), groups[own][0].name), default=frozenset[int]())
    if not most or 2 * len(most) <= len(failures) or not _show_in_the_rest(failures, most, groups[most][:1]):
        return ()
    return (_likeliest(groups[most], len(most), len(failures)),)


def _show_in_the_rest(failures: Explained, explained: frozenset[int], mutants: Sequence[Mutant]) -> bool:
    """Whether all of these mutants show where none is recognised, in enough of those failures."""
    rest = [case for number, (case, _) in enumerate(failures) if number not in explained]
    tried = rest[:: -(-len(rest) // MOST_MET) or 1]
    met = sum(all(shows_in(mutant, each.check, each.case, each.dtype) for mutant in mutants) for each in tried)
    return not tried or len(explained) + met / len(tried) * len(rest) >= ENOUGH * len(failures)


def _pair(failures: Explained, results: Sequence[VerdictRecord]) -> tuple[Likeliest, ...]:
    """The two mutants that together explain these failures, and neither alone; none where there are no such two."""
    groups = _groups(failures, results)
    pairs = [(a, b) for a, b in itertools.permutations(groups, 2) if len(a) >= len(b) and len(b - a) >= FEWEST <= len(a - b)]
    pairs.sort(key=lambda pair: (-len(pair[0] | pair[1]), -len(pair[0]), groups[pair[0]][0].name, groups[pair[1]][0].name))
    for first, second in pairs[:MOST_PAIRS]:
        if _show_in_the_rest(failures, first | second, [groups[first][0], groups[second][0]]):
            return tuple(_likeliest(groups[own], len(own), len(failures)) for own in (first, second))
    return ()


def _likeliest(mutants: Sequence[Mutant], explained: int, failures: int) -> Likeliest:
    first, *others = mutants
    return Likeliest(first.name, first.sentence, explained, failures, tuple(each.name for each in others))
