"""The house stands as it was drawn: imports point down, rooms match, listing is light, no tolerance is tuned."""

from __future__ import annotations

import ast
import importlib
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from conformance.engine.mutation import mutants_of
from conformance.engine.runner import requirements_of
from conformance.engine.selection import checks_of, is_thorough
from conformance.studies.claims import claims
from conformance.studies.curves import curves
from impls.systems import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent.parent
STOREYS = ["reference", "impls", "conformance", "reports"]
"""From the ground up: a storey may import itself and what stands before it in this list."""

FEWEST_REQUIREMENTS = {"ademamix": 15, "sigmoid_attention": 15, "rig": 25, "rag": 10}
FEWEST_BUGS = {"ademamix": 10, "sigmoid_attention": 10, "rig": 10, "rag": 8}

systems = pytest.mark.parametrize("system", [s.name for s in SYSTEMS])


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            yield file, ast.parse(file.read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


@pytest.mark.parametrize("storey", STOREYS)
def test_imports_point_down(storey: str) -> None:
    above = set(STOREYS[STOREYS.index(storey) + 1 :]) | {"tests", "conftest"}
    wrong = [(str(file.relative_to(ROOT)), name) for file, tree in sources(storey) for name in imported(tree) if name in above]
    assert wrong == []


def test_the_law_imports_numpy_and_the_standard_library_only() -> None:
    allowed = {"reference", "numpy", *sys.stdlib_module_names}
    wrong = [(file.name, name) for file, tree in sources("reference") for name in imported(tree) if name not in allowed]
    assert wrong == []


def test_rooms_are_the_same_on_every_storey() -> None:
    for storey in STOREYS[:3]:
        rooms = {p.name for p in (ROOT / storey).iterdir() if p.is_dir() and not p.name.startswith("__")}
        assert {s.name for s in SYSTEMS} <= rooms


def test_listing_imports_neither_torch_nor_jax_nor_a_peer() -> None:
    code = (
        "import sys\n"
        "from conformance.engine.discovery import listed\n"
        "for implementation in listed(): implementation.missing()\n"
        "print(sorted(set(sys.modules) & {'torch', 'jax', 'triton', 'optax', 'bitsandbytes', 'heavyball', "
        "'pytorch_optimizer', 'x_transformers', 'triton_sigmoid', 'numpy', 'regex', 're2', 'lark'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@systems
def test_collecting_a_room_imports_no_framework(system: str) -> None:
    code = (
        f"import sys, conformance.{system}.checks, conformance.{system}.workloads, conformance.mutants.{system}\n"
        "import conformance.studies.claims, conformance.studies.curves\n"
        "conformance.studies.claims.claims(), conformance.studies.curves.curves()\n"
        "print(sorted(set(sys.modules) & {'torch', 'jax', 'triton'}))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


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
def test_every_requirement_has_a_check_and_every_check_a_requirement(system: str) -> None:
    assert {check.requirement for check in checks_of(system)} == set(requirements_of(system))


@systems
def test_an_examination_is_named_once(system: str) -> None:
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
def test_every_requirement_catches_a_planted_bug(system: str) -> None:
    caught = {requirement for mutant in mutants_of(system) for requirement in mutant.killed_by}
    assert caught <= set(requirements_of(system))
    assert set(requirements_of(system)) - caught == set()


@systems
def test_there_are_bugs_and_honest_variants(system: str) -> None:
    mutants = mutants_of(system)
    assert len({m.name for m in mutants}) == len(mutants)
    assert sum(not m.honest for m in mutants) >= FEWEST_BUGS[system]
    assert sum(m.honest for m in mutants) >= 3
    for mutant in mutants:
        assert mutant.system == system
        assert mutant.sentence.endswith(".")


def test_claims_and_curves_are_well_formed() -> None:
    # A room may have neither file; what it has says what it measures, where that was said, and in which unit.
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


def test_no_tolerance_is_a_literal() -> None:
    # Bounds are derived. A comparison with a tolerance chosen by hand, or by a library's default, could hide a bug.
    wrong = []
    for file, tree in sources(*STOREYS, "tests"):
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call):
                continue
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in {"allclose", "assert_allclose", "isclose", "approx", "assert_almost_equal", "assert_close"}:
                wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {name}")
            for keyword in node.keywords:
                if keyword.arg in {"atol", "rtol"} and isinstance(keyword.value, ast.Constant) and keyword.value.value:
                    wrong.append(f"{file.relative_to(ROOT)}:{node.lineno}: {keyword.arg}={keyword.value.value}")
    assert wrong == []


def test_nothing_is_skipped_out_of_sight() -> None:
    # A skip is a verdict that the report shows; only conformance/pytest_plugin/plugin.py may pronounce one.
    wrong = []
    for file, tree in sources("conformance", "tests"):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in {"skip", "xfail", "skipif", "importorskip"}:
                wrong.append(str(file.relative_to(ROOT)))
    assert set(wrong) <= {"conformance/pytest_plugin/plugin.py", "tests/core/test_house.py"}


def test_no_sentence_names_the_place_where_it_was_written() -> None:
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    roots = ["/" + name + "/" for name in ("root", "home", "Users")]
    wrong = []
    for name in tracked:
        file = ROOT / name
        if file.suffix in {".py", ".md", ".toml", ".txt", ".json", ".jsonl", ".svg", ".mjs", ".c"} and file.is_file():
            text = file.read_text(encoding="utf-8")
            wrong += [f"{name}: {root}" for root in roots if root in text and name != "tests/core/test_house.py"]
    assert wrong == []
