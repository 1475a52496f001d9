"""Requirements, checks, cases, mutants, claims and curves are well formed and belong together."""

from __future__ import annotations

import importlib
import re
from collections import Counter

import pytest

from conformance.engine.mutation import mutants_of
from conformance.engine.selection import checks_of, is_thorough, requirements_of
from conformance.studies.claims import claims
from conformance.studies.curves import curves
from impls.systems import SYSTEMS

MOST_FAMILIES = 12
"""So many columns fit on a telephone."""
FEWEST_REQUIREMENTS = {"ademamix": 15, "sigmoid_attention": 15, "rig": 25, "rag": 10}
FEWEST_MUTANTS = {"ademamix": 10, "sigmoid_attention": 10, "rig": 10, "rag": 8}

systems = pytest.mark.parametrize("system", [s.name for s in SYSTEMS])


@systems
def test_requirements_are_well_formed(system: str) -> None:
    prefix = next(s.requirement_prefix for s in SYSTEMS if s.name == system)
    module = importlib.import_module(f"conformance.{system}.requirements")
    ids = [requirement.id for requirement in module.REQUIREMENTS]
    assert len(set(ids)) == len(ids) >= FEWEST_REQUIREMENTS[system]
    for requirement in module.REQUIREMENTS:
        assert requirement.id.startswith(prefix + "-")
        assert requirement.id[len(prefix) + 1 :].isdigit()
        assert all((requirement.statement, requirement.source, requirement.catches))


@systems
def test_every_requirement_has_one_of_few_families(system: str) -> None:
    families = {id_: requirement.family for id_, requirement in requirements_of(system).items()}
    assert [id_ for id_, family in families.items() if not family] == [], "declare it beside Requirements(...)"
    assert len(set(families.values())) <= MOST_FAMILIES


@systems
def test_every_requirement_has_a_check_and_every_check_a_requirement(system: str) -> None:
    assert {check.requirement for check in checks_of(system)} == set(requirements_of(system))


@systems
def test_ids_of_cases_are_unique_and_plain(system: str) -> None:
    names = Counter((check.requirement, case.id) for check in checks_of(system) for case in check.cases)
    assert [name for name, count in names.items() if count > 1] == []
    for _, case_id in names:
        assert case_id.isascii()
        assert not set(case_id) & set(":[] \"'@$`\\")


@systems
def test_every_requirement_has_a_quick_case(system: str) -> None:
    quick = {check.requirement for check in checks_of(system) if any(case.quick for case in check.cases)}
    long = {check.requirement for check in checks_of(system) if all(is_thorough(case) for case in check.cases)}
    assert set(requirements_of(system)) - quick - long == set()
    assert [c.id for check in checks_of(system) for c in check.cases if c.quick and is_thorough(c)] == []


@systems
def test_every_requirement_catches_a_mutant(system: str) -> None:
    caught = {requirement for mutant in mutants_of(system) for requirement in mutant.killed_by}
    assert caught <= set(requirements_of(system))
    assert set(requirements_of(system)) - caught == set()


@systems
def test_there_are_mutants_and_honest_variants(system: str) -> None:
    mutants = mutants_of(system)
    assert len({m.name for m in mutants}) == len(mutants)
    assert sum(not m.honest for m in mutants) >= FEWEST_MUTANTS[system]
    assert sum(m.honest for m in mutants) >= 3
    for mutant in mutants:
        assert mutant.system == system
        assert mutant.sentence.endswith(".")


def test_claims_and_curves_are_well_formed() -> None:
    # A system may have neither file.
    prefixes = {s.name: s.requirement_prefix for s in SYSTEMS}
    ids = [claim.id for claim in claims()]
    assert len(set(ids)) == len(ids)
    for claim in claims():
        assert re.fullmatch(rf"{prefixes[claim.system]}-C[0-9]+", claim.id)
        assert claim.statement.endswith(".")
        assert claim.source
    names = [curve.id for curve in curves()]
    assert len(set(names)) == len(names)
    for curve in curves():
        assert curve.system in prefixes
        assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", curve.name)
        assert all((curve.title, curve.axes.x, curve.axes.y))


@systems
def test_every_case_can_be_a_key(system: str) -> None:
    """The diagnosis remembers by case what a mutant gave."""
    assert all(isinstance(hash(case), int) for check in checks_of(system) for case in check.cases)
