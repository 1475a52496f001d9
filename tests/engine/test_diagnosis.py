"""A failure is diagnosed as the mutant that is wrong in the same way, and nothing is said rather than something wrong."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from conformance.engine import diagnosis
from conformance.engine.check import Check, run_check, worst_of
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.diagnosis import Likeliest, in_words, ranked, resembles, resembling, self_diagnosis
from conformance.engine.mutation import Mutant, mutants_of, run_mutant
from conformance.engine.selection import checks_of, is_thorough
from conformance.engine.text_comparison import Plain
from conformance.records.schema import Verdict, VerdictRecord
from impls.systems import SYSTEM_NAMES

CASE = Plain(id="a")


def number(got: float, bound: float = 1.0, quantity: str = "x") -> Comparison:
    return compare(quantity, [0.0, got], [0.0, 0.0], bound)


@pytest.mark.parametrize(
    ("ours", "theirs", "alike"),
    [
        ([number(9.0)], [number(9.0)], True),
        ([number(9.0)], [number(10.5)], True),  # each may be off by one bound from the same wrong answer
        ([number(9.0)], [number(11.5)], False),
        ([number(1.5)], [number(3.0)], False),  # as near to the right answer
        ([number(1.5)], [number(2.0)], True),
        ([number(1.5)], [number(0.9)], False),  # passes
        ([number(9.0), number(5.0)], [number(9.0), number(5.0)], True),
        ([number(9.0), number(5.0)], [number(0.0), number(5.0)], False),  # the first of two of one name differs
        ([number(5.0), number(9.0)], [number(9.0), number(5.0)], False),
        ([number(9.0, quantity="y")], [number(9.0)], False),
        ([number(9.0)], [number(9.0), number(0.0, quantity="y")], True),
        ([equal("x", "a", "b")], [equal("x", "a", "b")], True),
        ([equal("x", "a", "b")], [equal("x", "c", "b")], False),
        ([equal("x", 1, "b")], [equal("x", True, "b")], False),
        ([compare("x", [1.0], [1.0, 2.0], 1.0)], [compare("x", [1.0], [1.0, 2.0], 1.0)], True),
        ([compare("x", [1.0], [1.0, 2.0], 1.0)], [number(9.0)], False),
        ([number(np.nan)], [number(np.nan)], True),
        ([number(np.nan)], [number(9.0)], False),
    ],
)
def test_two_are_alike_where_they_are_wrong_in_the_same_way(
    ours: list[Comparison], theirs: list[Comparison], alike: bool
) -> None:
    assert resembles(ours, theirs) == alike


def planted(name: str, *values: float, killed_by: tuple[str, ...] = ("RIG-01",)) -> Mutant:
    """A mutant of which a check sees these values."""
    return Mutant(name, "rig", f"Is {name}.", lambda: values, killed_by)  # type: ignore[arg-type, return-value]


CHECK = Check("RIG-01", lambda values, case, dtype: map(number, values), (CASE,))


def test_what_only_a_long_case_catches_is_not_compared_with_a_short_one(monkeypatch: pytest.MonkeyPatch) -> None:
    long = replace(planted("long", 9.0), thorough=True)
    monkeypatch.setattr(diagnosis, "mutants_of", lambda system: (long,))
    assert resembling("rig", CHECK, CASE, "", [number(9.0)]) == ()
    monkeypatch.setattr(diagnosis, "is_thorough", lambda case: True)
    assert resembling("rig", CHECK, CASE, "", [number(9.0)]) == ("long",)


WITHOUT_TORCH = """
import sys
from conformance.engine.check import run_check
from conformance.engine.diagnosis import resembling
from conformance.engine.mutation import mutants_of
from conformance.engine.selection import checks_of

(check,) = (each for each in checks_of("sigmoid_attention") if each.requirement == "SIG-04")
(mutant,) = (each for each in mutants_of("sigmoid_attention") if each.name == "bias-negated")
case = check.cases[0]
print(resembling("sigmoid_attention", check, case, "float32", run_check(check, mutant.subject(), case, "float32"))[0])
sys.exit("torch" in sys.modules)
"""


def test_a_failure_is_diagnosed_without_an_import_of_torch() -> None:
    """Which the process of what is tested has imported already: a second import would take longer than most runs."""
    done = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "bias-negated\n"), done.stderr


def test_the_nearest_is_named_first_and_what_passes_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = [planted("far", 7.5), planted("same", 9.0), planted("right", 0.0), planted("close", 9.5), planted("other", 20.0)]
    monkeypatch.setattr(diagnosis, "mutants_of", lambda system: (*mutants, replace(mutants[1], name="honest", honest=True)))
    names = resembling("rig", CHECK, CASE, "", [number(9.0)])
    assert names == ("same", "close", "far")
    assert in_words("rig", names) == "same: Is same.; or close: Is close.; or far: Is far."
    assert in_words("rig", ("same", "close", "far", "other")).endswith("; or 1 more")
    assert in_words("rig", ()) == ""


def failures(*candidates: str, requirement: str = "RIG-01", verdict: Verdict = Verdict.FAIL) -> list[VerdictRecord]:
    """A failure for each word, which holds the names of its candidates joined by +."""
    return [
        VerdictRecord(
            implementation="rig/x", system="rig", requirement=requirement, case=str(place), dtype="", device="cpu",
            verdict=verdict, margin=None if verdict is Verdict.ERROR else 9.0 if verdict is Verdict.FAIL else 0.0,
            candidates=tuple(filter(None, word.split("+"))),
        )
        for place, word in enumerate(candidates)
    ]  # fmt: skip


def test_mutants_are_ranked_over_all_failures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "mutants_of", lambda system: [planted(name) for name in ("a", "b", "c", "d")])
    assert ranked(failures("a+b", "b", "b+c", "c")) == (Likeliest("b", "Is b.", 3, 4), Likeliest("c", "Is c.", 2, 4))
    assert ranked(failures("a+b", "b+a")) == (Likeliest("a", "Is a.", 2, 2, ("b",)),)  # either
    assert ranked(failures("a", "a", "", "")) == ()  # half of them, and the rest cannot be its
    assert ranked(failures("a", "b", "c", "d")) == ()
    assert ranked(failures("a", "a", "")) == (Likeliest("a", "Is a.", 2, 3),)
    assert ranked(failures("a", verdict=Verdict.PASS)) == ranked(failures("", verdict=Verdict.ERROR)) == ranked([]) == ()


def test_a_mutant_is_not_named_whose_own_requirement_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diagnosis, "mutants_of", lambda system: [planted("a", killed_by=("RIG-02", "RIG-03"))])
    found = failures("a", "a")
    held = failures("", requirement="RIG-02", verdict=Verdict.PASS)
    assert ranked(found) == ranked([*found, *held])  # it explains everything
    found = failures("a", "a", "")
    assert ranked(found)
    assert ranked([*found, *held]) == ()
    assert ranked([*failures("a", "a"), *held, *failures("", requirement="RIG-03")]) == (Likeliest("a", "Is a.", 2, 3),)


def test_each_of_several_bugs_is_named_where_it_explains_its_own_requirement(monkeypatch: pytest.MonkeyPatch) -> None:
    mutants = [planted(name, killed_by=(f"RIG-0{number}",)) for number, name in enumerate("abc", 1)]
    monkeypatch.setattr(diagnosis, "mutants_of", lambda system: mutants)
    first, second = (failures(*(name * 2), requirement=f"RIG-0{number}") for number, name in enumerate("ab", 1))
    elsewhere = failures("a", "b", "c", "", "", "", requirement="RIG-09")
    assert [each.mutant for each in ranked([*first, *second, *elsewhere])] == ["a", "b"]  # c's own requirement holds
    assert ranked([*first, *second, *failures("", "", "", "", requirement="RIG-09")]) == ()  # they show in no other
    assert ranked([*first, *failures("", requirement="RIG-01"), *elsewhere]) == ()  # a has not all of its own


def test_a_failure_that_is_not_recognised_is_listed() -> None:
    class Remembers:
        calls = 0

    def check(subject: Remembers, case: Plain, dtype: str) -> list[Comparison]:
        Remembers.calls += 1
        return [number(9.0 * Remembers.calls)]

    diagnose, unlike = self_diagnosis(every_case=False)
    mutant = replace(planted("a"), subject=Remembers)  # type: ignore[arg-type]
    remembering = Check("RIG-01", check, (CASE,))
    diagnose(replace(mutant, by_chance=True), remembering, CASE, "", check(Remembers(), CASE, ""))
    assert unlike == []
    diagnose(mutant, remembering, CASE, "", check(Remembers(), CASE, ""))
    diagnose(mutant, remembering, CASE, "", check(Remembers(), CASE, ""))
    assert unlike == ["RIG-01 a"]


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_a_mutant_is_named_in_its_own_failures(system: str) -> None:
    """Of the first that fails by its values. pytest conformance does this for every mutant."""
    mutant = next(each for each in mutants_of(system) if not each.honest and not each.equivalent and not each.thorough)
    found: list[tuple[str, ...]] = []

    def diagnose(mutant: Mutant, check: Check, case: Plain, dtype: str, comparisons: list[Comparison]) -> None:
        if len(found) < 2:
            found.append(resembling(system, check, case, dtype, comparisons))

    run_mutant(mutant, every_dtype=False, on_failure=diagnose)
    assert found
    assert all(mutant.name in names for names in found)


def test_what_the_authors_code_does_is_recognised_in_rows_of_a_covering_array() -> None:
    mutant = next(each for each in mutants_of("ademamix") if each.name == "half-life-of-the-authors")
    check = next(each for each in checks_of("ademamix") if each.requirement == "ADM-70")
    rows = [case for case in check.cases if case.dtypes == ("float64",) and not is_thorough(case)]
    named = []
    for case in rows:
        comparisons = run_check(check, mutant.subject(), case, "float64")
        if not worst_of(comparisons).passed:
            named.append(mutant.name in resembling("ademamix", check, case, "float64", comparisons))
    assert named
    assert all(named)
