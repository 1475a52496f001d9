"""Every pair of factor values that the constraints allow occurs in some combination, and the kept files say the same."""

from __future__ import annotations

import importlib.util
import itertools
from pathlib import Path

import pytest

from conformance.engine import interactions as engine
from conformance.engine.interactions import (
    Combination,
    Constraint,
    Factor,
    Interactions,
    combinations,
    covered,
    interactions_of,
    made,
    rows_of,
    shared_by,
)
from conformance.engine.selection import Options, checks_of
from conformance.records.schema import Verdict, VerdictRecord
from impls.systems import SYSTEM_NAMES

SIZES = Factor("size", (0, 1, 255, 4096))
GROUPS = Factor("groups", (1, 2, 5))
DIFFERING = Factor("differing", ("nothing", "rate", "decay"))
DTYPE = Factor("dtype", ("float32", "bfloat16"))
ONE_GROUP = Constraint(("groups", "differing"), lambda groups, differing: groups > 1 or differing == "nothing", "one group")
NO_BIG = Constraint(("size", "dtype"), lambda size, dtype: size < 4096 or dtype == "float32", "would take long")
DECLARED = Interactions("rig", (SIZES, GROUPS, DIFFERING, DTYPE), (ONE_GROUP, NO_BIG), (("size", "groups", "dtype"),))


def allowed(declared: Interactions) -> list[tuple[tuple[str, str], ...]]:
    """Every full assignment of values that satisfies the constraints."""
    found = []
    for values in itertools.product(*(factor.values for factor in declared.factors)):
        named = dict(zip([factor.name for factor in declared.factors], values, strict=True))
        if all(each.holds(*(named[name] for name in each.names)) for each in declared.constraints):
            found.append(tuple((name, str(value)) for name, value in named.items()))
    return found


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of ``DECLARED``, in a folder of its own."""
    monkeypatch.setattr(Interactions, "file", property(lambda self: tmp_path / "interactions.tsv"))
    return tmp_path / "interactions.tsv"


@pytest.mark.parametrize("strength", [2, 3])
def test_every_possible_pair_occurs_and_every_three_of_those_together(strength: int) -> None:
    found = made(DECLARED)
    names = [factor.name for factor in DECLARED.factors] if strength == 2 else DECLARED.together[0]
    whole = set(allowed(DECLARED))
    assert {each.labels for each in found} <= whole
    for chosen in itertools.combinations(names, strength):
        possible = {tuple(pair for pair in row if pair[0] in chosen) for row in whole}
        assert {tuple(pair for pair in each.labels if pair[0] in chosen) for each in found} == possible
    assert len(found) < len(whole)


def test_the_kept_file_gives_the_same_combinations_with_their_values(kept: Path) -> None:
    engine.write(DECLARED)
    found = combinations(DECLARED)
    assert found == made(DECLARED)
    assert {type(each["size"]) for each in found} == {int}
    assert len({each.id for each in found}) == len(found)
    assert found[0].id == Combination(found[0].labels, {}).id


@pytest.mark.parametrize(
    "factors",
    [
        (SIZES, GROUPS, DIFFERING),
        (SIZES, GROUPS, DIFFERING, Factor("dtype", ("float32", "bfloat16", "float16"))),
        (SIZES, GROUPS, DIFFERING, Factor("dtype", ("float32", "float64"))),
    ],
)
def test_a_file_that_does_not_fit_is_made_anew_or_refused(
    kept: Path, monkeypatch: pytest.MonkeyPatch, factors: tuple[Factor, ...]
) -> None:
    engine.write(DECLARED)
    changed = Interactions("rig", factors)
    assert combinations(changed) == made(changed)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"does not fit its factors.*python -m conformance\.engine\.interactions rig"):
        combinations(changed)


@pytest.mark.parametrize("system", [name for name in SYSTEM_NAMES if interactions_of(name)])
def test_the_kept_combinations_are_what_the_declaration_makes(system: str) -> None:
    for declared in interactions_of(system):
        rows = ["\t".join(label for _, label in each.labels) for each in made(declared)]
        assert declared.file.read_text(encoding="utf-8").splitlines()[1:] == rows


def test_cases_without_a_combination_cover_nothing() -> None:
    first, second = made(DECLARED)[:2]
    assert covered([object()]) == frozenset()

    class Kept:
        combination = first

    assert covered([Kept(), object()]) == first.pairs
    assert len(first.pairs) == 6
    assert first.pairs != second.pairs


@pytest.mark.parametrize("quick", [True, False])
def test_a_run_covers_no_more_than_is_possible(quick: bool) -> None:
    for each in engine.coverage(Options(quick=quick)):
        assert 0 <= each.covered <= each.possible
        assert 0 <= each.triples <= each.possible_triples


def test_a_thorough_run_covers_every_pair_and_every_triple() -> None:
    each = next(each for each in engine.coverage(Options(thorough=True)) if each.system == "sigmoid_attention")
    assert (each.covered, each.triples) == (each.possible, each.possible_triples)
    assert each.possible_triples > 3000


@pytest.mark.parametrize("values", [("a", "a"), ("a",), ("a\tb", "c"), (1, "1")])
def test_a_factor_has_distinct_labels(values: tuple[object, ...]) -> None:
    with pytest.raises(ValueError, match="two or more, different"):
        Factor("x", values)


def test_constraints_name_factors() -> None:
    with pytest.raises(ValueError, match="nothere"):
        Interactions("rig", (SIZES, GROUPS), (Constraint(("nothere",), bool, ""),))


def _row(case: str, verdict: Verdict) -> VerdictRecord:
    return VerdictRecord(
        implementation="ademamix/theirs", system="ademamix", requirement="ADM-71", case=case, dtype="float32", device="cpu",
        verdict=verdict,
    )  # fmt: skip


def test_the_one_factor_that_tells_failed_rows_from_passing_ones_is_named() -> None:
    rows = rows_of("ademamix")
    copied = {id_: dict(row.labels).get("resumed") in {"copied", "pickled"} for id_, row in rows.items()}
    results = [
        _row(case.id, Verdict.FAIL if copied[case.id] else Verdict.PASS)
        for check in checks_of("ademamix")
        if check.requirement == "ADM-71"
        for case in check.cases
    ]
    failures = [result for result in results if result.verdict is Verdict.FAIL]
    assert shared_by(failures, results) == "resumed copied or pickled"
    assert shared_by(failures[:2], results) == ""  # so few may share anything by chance
    assert shared_by(failures, failures) == ""  # nothing passes, so that every factor tells them apart
    assert shared_by([], results) == ""
    passing = [_row(failures[0].case, Verdict.PASS), *results]
    assert shared_by(failures[1:], passing) == ""
    assert rows_of("a system of somebody's records") == {}
