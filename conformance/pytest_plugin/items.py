"""Turn test cases, mutants and benchmark cases into pytest items."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from conformance.benchmark.benchmark import benchmark_cases
from conformance.engine.mutation import mutants_of
from conformance.engine.runner import divided, list_test_cases
from conformance.engine.selection import requirements_of
from conformance.pytest_plugin.options import levels_of, measures_only, options_of
from conformance.pytest_plugin.run_state import run_of

PARAMETERS = ("test_case", "mutant", "benchmark_case")
"""The arguments of the suite's own tests, one of which each item has."""


def ignores(path: Path, config: pytest.Config) -> bool:
    """Whether to skip a file: only benchmarks run under ``--benchmark-only``. A file that is named is always collected."""
    if path.suffix != ".py" or any(str(path) in str(Path(argument.partition("::")[0]).resolve()) for argument in config.args):
        return False
    if path.name.startswith("bench_"):
        return not measures_only(config)
    return measures_only(config) and path.name.startswith("test_")


def generate(metafunc: pytest.Metafunc) -> None:
    """Make an item of every test case, mutant or benchmark case of the test's system."""
    for name in PARAMETERS:
        if name in metafunc.fixturenames:
            found = [pytest.param(value, id=id_) for value, id_ in _values(name, metafunc.module.SYSTEM, metafunc.config)]
            # An empty list would show as a skip, though nothing was left out: `drop_empty` removes the placeholder.
            metafunc.parametrize(name, found or [pytest.param(None, id="nothing")])


def _values(name: str, system: str, config: pytest.Config) -> Iterable[tuple[Any, str]]:
    """The values of one parameter for one system, each with its id."""
    options = options_of(config)
    if name == "test_case":
        levels, rules = levels_of(config), requirements_of(system)
        found = list_test_cases(system, run_of(config).selection.implementations, options)
        # Levels are left out last, so that they do not change whose turn each dtype is.
        runnable, ruled_out = divided(case for case in found if rules[case.check.requirement].level in levels)
        return [*((case, case.id) for case in runnable), *((group, group.id) for group in ruled_out)]
    if name == "benchmark_case":
        return ((case, case.id) for case in benchmark_cases(system, run_of(config).selection.implementations, options))
    # Mutants test the suite itself. Somebody who brings one implementation did not ask for that.
    if options.quick or config.getoption("--level") or any(spec != "built-in" for spec in config.getoption("--impl")):
        return ()
    return ((m, m.name) for m in mutants_of(system) if options.thorough or not m.thorough)


def drop_empty(items: list[pytest.Item]) -> None:
    """Remove the placeholders of `generate`."""
    items[:] = [item for item in items if not any(value is None for value in parameters(item).values())]


def take_turns(items: list[pytest.Item]) -> None:
    """Let systems take turns, workload by workload, so that a run whose time is short has measured something of each."""
    places: dict[str, dict[tuple[str, str], int]] = {}
    last = len(items)

    def turn(item: pytest.Item) -> int:
        case = parameters(item).get("benchmark_case")
        if case is None:
            return last
        own = places.setdefault(case.workload.system, {})
        return own.setdefault((case.workload.id, case.device), len(own))

    items.sort(key=turn)


def parameters(item: pytest.Item) -> dict[str, Any]:
    """The values of `PARAMETERS` that an item has."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return {name: params[name] for name in PARAMETERS if name in params}
