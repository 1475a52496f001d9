"""Which cases a mutant is tested on: all where there is time, and otherwise those that must show what it is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from conformance.engine import mutation
from conformance.engine.check import Check
from conformance.engine.comparison import Comparison, equal
from conformance.engine.mutation import Mutant, concerns, mutants_of, run_mutant
from conformance.engine.selection import Options, checks_of


@dataclass(frozen=True)
class Question:
    """A case that is no more than its name."""

    id: str
    quick: bool = True
    combination: str | None = None
    dtypes: tuple[str, ...] = ()
    needs: frozenset[str] = frozenset()
    thorough: bool = False


CASES = (Question("alone"), Question("row", combination="of many"), Question("late-row", quick=False, combination="of few"))


LONG = (Question("long", thorough=True), Question("as-long", thorough=True))


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """The requirement and case of each question that a mutant is asked; every answer is wrong."""
    asked: list[tuple[str, str]] = []

    def check_of(requirement: str) -> Check:
        def ask(subject: object, case: Question, dtype: str) -> list[Comparison]:
            asked.append((requirement, case.id))
            return [equal("answer", "wrong", "right")]

        return Check(requirement, ask, (*CASES, *LONG))

    def selected(system: str, options: Options) -> Iterator[tuple[Check, Question, str]]:
        return ((check, case, "") for check in map(check_of, ("RIG-01", "RIG-02")) for case in check.cases)

    monkeypatch.setattr(mutation, "selected_cases", selected)
    return asked


class NeverAsked:
    """The subject of a mutant whose checks call nothing."""

    numerical_class = ""


BUG = Mutant("bug", "rig", "Is wrong.", NeverAsked, killed_by=("RIG-02",))
HONEST = Mutant("honest", "rig", "Is unusual.", NeverAsked, honest=True)


def test_a_bug_is_tested_on_every_requirement(asked: list[tuple[str, str]]) -> None:
    assert set(run_mutant(BUG).killers) == {"RIG-01", "RIG-02"}
    assert asked == [("RIG-01", "alone"), *(("RIG-02", case.id) for case in CASES)]


def test_a_bug_is_tested_on_those_that_must_catch_it_where_time_is_short(asked: list[tuple[str, str]]) -> None:
    result = run_mutant(BUG, every_check=False)
    assert (set(result.killers), result.checked, result.missed) == ({"RIG-02"}, ("RIG-02",), ())
    assert asked == [("RIG-02", case.id) for case in CASES]


def test_an_honest_variant_is_tested_on_every_requirement_always(asked: list[tuple[str, str]]) -> None:
    assert run_mutant(HONEST).checked == ("RIG-01", "RIG-02")
    assert len(asked) == 2 * len(CASES)


def test_an_honest_variant_is_tested_on_few_rows_where_time_is_short(asked: list[tuple[str, str]]) -> None:
    assert run_mutant(HONEST, every_check=False).verdict == "false alarm"
    assert asked == [(requirement, case) for requirement in ("RIG-01", "RIG-02") for case in ("alone", "row")]


def test_a_long_case_is_run_on_a_bug_until_one_has_caught_it(asked: list[tuple[str, str]]) -> None:
    run_mutant(replace(BUG, killed_by=("RIG-03",), thorough=True))
    assert asked == [("RIG-01", "alone"), ("RIG-02", "alone")]
    asked.clear()
    run_mutant(replace(BUG, thorough=True))
    assert ("RIG-02", "long") not in asked, "another case has caught it already"
    asked.clear()
    run_mutant(replace(HONEST, thorough=True))
    assert len(asked) == 2 * (len(CASES) + len(LONG))


def test_a_large_case_is_run_on_the_mutants_alone_that_it_must_catch() -> None:
    """Hundreds of results of a million elements, each kept, would fill the memory."""
    check, case = next((c, x) for c in checks_of("ademamix") for x in c.cases if x.id == "beyond-a-million-with-settings")
    wanted = [mutant for mutant in mutants_of("ademamix") if concerns(mutant, check, case) and not mutant.honest]
    assert "huge-tail-without-decay" in [mutant.name for mutant in wanted]
    assert all(check.requirement in mutant.killed_by for mutant in wanted)
