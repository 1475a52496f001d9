"""The layout: no import cycle, few edges between packages, light listings. The layers themselves: `make lint`."""

from __future__ import annotations

import graphlib
import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from impls.systems import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("reference", "impls", "conformance", "reports", "gaugeblock")
OUTSIDE = {"tests", "tools", "examples", "conftest"}
MOST_MEMBERS, MOST_EDGES = 13, 30
"""Of the package `conformance`: what it contains, and which of its members imports which."""

systems = pytest.mark.parametrize("system", [s.name for s in SYSTEMS])


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(*PACKAGES, include_external_packages=True, cache_dir=None)


def test_no_module_imports_itself_by_way_of_others(graph: grimp.ImportGraph) -> None:
    imports = {module: graph.find_modules_directly_imported_by(module) - {module} for module in graph.modules}
    graphlib.TopologicalSorter(imports).prepare()  # CycleError names the cycle


def test_conformance_has_few_packages_with_few_edges(graph: grimp.ImportGraph) -> None:
    members = graph.find_children("conformance")
    assert len(members) <= MOST_MEMBERS
    assert {p.stem for p in (ROOT / "conformance").glob("*.py")} == {"__init__"}
    edges = {
        (importer, imported)
        for importer in members
        for imported in members
        if importer != imported and graph.direct_import_exists(importer=importer, imported=imported, as_packages=True)
    }
    assert len(edges) <= MOST_EDGES


def test_no_package_imports_tests_or_tools(graph: grimp.ImportGraph) -> None:
    assert graph.modules & OUTSIDE == set()


def test_the_reference_imports_numpy_scipy_and_the_standard_library_only(graph: grimp.ImportGraph) -> None:
    own = graph.find_descendants("reference") | {"reference"}
    imported = {name.partition(".")[0] for module in own for name in graph.find_modules_directly_imported_by(module)}
    assert imported <= {"reference", "numpy", "scipy", *sys.stdlib_module_names}


@pytest.mark.parametrize("package", ["reference", "impls", "conformance"])
def test_every_system_has_a_package_on_every_layer(package: str) -> None:
    assert {s.name for s in SYSTEMS} <= {p.parent.name for p in (ROOT / package).glob("*/__init__.py")}


def loaded_by(code: str, *modules: str) -> str:
    """Which of the modules a fresh interpreter has loaded after some code."""
    code = f"import sys\n{code}\nprint(*sorted(set(sys.modules) & {set(modules)!r}))"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def test_listing_imports_neither_torch_nor_jax_nor_a_peer() -> None:
    code = "from conformance.engine.discovery import listed\nfor implementation in listed(): implementation.missing()"
    peers = "optax bitsandbytes heavyball pytorch_optimizer x_transformers triton_sigmoid numpy regex re2 lark"
    assert loaded_by(code, "torch", "jax", "triton", *peers.split()) == ""


@systems
def test_collecting_a_system_imports_no_framework(system: str) -> None:
    code = (
        "from conformance.engine.mutation import mutants_of\nfrom conformance.engine.selection import checks_of\n"
        f"mutants_of({system!r}), checks_of({system!r})\nimport conformance.{system}.workloads\n"
        "import conformance.studies.claims, conformance.studies.curves\n"
        "conformance.studies.claims.claims(), conformance.studies.curves.curves()"
    )
    assert loaded_by(code, "torch", "jax", "triton") == ""
