"""Two causes at once are told apart where each shows alone, and nothing is said where they do not explain the failures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from conformance.engine import diagnosis, other_classes, several_causes
from conformance.engine.check import Check, run_check
from conformance.engine.comparison import Comparison, compare
from conformance.engine.mutation import Mutant
from conformance.engine.runner import TestCase as Place
from conformance.engine.several_causes import explain_enough
from conformance.engine.several_causes import several_causes as causes_of
from conformance.engine.text_comparison import Plain
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import Implementation

CASES = tuple(Plain(id=f"c{n}") for n in range(12))
MINE = Implementation(
    name="sigmoid_attention/x", system="sigmoid_attention", target="x:x", protocol="numpy", summary="", dtypes=("float32",)
)
Wrong = dict[int, float]


def values(subject: Wrong, case: Plain, dtype: str) -> list[Comparison]:
    return [compare("x", [subject.get(int(case.id[1:]), 0.0)], [0.0], 1.0)]


CHECK = Check("SIG-01", values, CASES)
FIRST = dict.fromkeys((0, 1, 2, 6, 7, 8), 100.0)
SECOND = dict.fromkeys((3, 4, 5, 6, 7, 8), 1000.0)
BOTH = {n: FIRST.get(n, 0.0) + SECOND.get(n, 0.0) for n in range(9)}


def planted(name: str, wrong: Wrong) -> Mutant:
    return Mutant(name, "sigmoid_attention", f"Is {name}.", lambda: wrong, ("SIG-01",))  # type: ignore[arg-type, return-value]


@pytest.fixture(autouse=True)
def two_mutants(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = (planted("first", FIRST), planted("second", SECOND))
    for module in (diagnosis, several_causes):
        monkeypatch.setattr(module, "mutants_of", lambda system: mutants)
    monkeypatch.setattr(other_classes, "checks_of", lambda system: (CHECK,))


def judged(wrong: Wrong) -> list[VerdictRecord]:
    """The verdicts on an implementation that is wrong so."""
    blank = VerdictRecord(
        implementation=MINE.name, system=MINE.system, requirement="SIG-01", case="", dtype="", device="cpu",
        verdict=Verdict.PASS, margin=0.0,
    )  # fmt: skip
    found = []
    for case in CASES:
        (comparison,) = comparisons = run_check(CHECK, wrong, case, "")  # type: ignore[arg-type]
        each = replace(blank, case=case.id, margin=comparison.margin)
        if not comparison.passed:
            names = diagnosis.resembling(MINE.system, CHECK, case, "", comparisons)
            each = replace(each, verdict=Verdict.FAIL, candidates=names)
        found.append(each)
    return found


def test_two_mutants_are_found_where_both_show_in_all_else() -> None:
    results = judged(BOTH)
    found = causes_of(MINE, results)
    assert found is not None
    assert [(each.mutant, each.explained, each.failures) for each in found.mutants] == [("first", 3, 9), ("second", 3, 9)]
    assert found.other_class is None
    assert not explain_enough(found.mutants[:1], results)


def test_nothing_is_said_where_they_do_not_explain_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    other = {**BOTH, 9: 7.0, 10: 8.0, 11: 9.0}
    monkeypatch.setattr(several_causes, "classes_beside", lambda implementation: ())
    assert causes_of(MINE, judged(other)) is None
    assert causes_of(MINE, judged(dict.fromkeys(range(9), 55.5))) is None


@pytest.mark.parametrize("blunt", [False, True])
def test_a_class_is_found_together_with_a_mutant(monkeypatch: pytest.MonkeyPatch, blunt: bool) -> None:
    """Each value is off by 5, which the class allows; and six are wrong as the mutant is."""
    mine = {n: FIRST.get(n, 0.0) + 5.0 for n in range(9)}
    monkeypatch.setattr(several_causes, "classes_beside", lambda implementation: [("narrow", "less"), ("coarse", "more")])

    def run(name: str, each: Place) -> Sequence[Comparison]:
        effect = 1.0 if blunt else 1e6
        value = [mine[int(each.case.id[1:])]]
        return [compare("x", value, [0.0], {"narrow": 2.0, "coarse": 6.0}[name], np.array([effect]))]

    found = causes_of(MINE, judged(mine), run)
    if blunt:
        assert found is None  # such a bound would admit anything
        return
    assert found is not None
    assert found.other_class is not None
    assert (found.other_class.name, found.other_class.failures, found.other_class.run_again) == ("coarse", 3, 9)
    assert [(each.mutant, each.explained) for each in found.mutants] == [("first", 6)]
