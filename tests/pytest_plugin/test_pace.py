"""A default run of the benchmarks ends within its time, measures what represents each system, and says how far it is."""

from __future__ import annotations

import importlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.benchmark.benchmark import Measurement, benchmark_cases, hindrance
from conformance.benchmark.pace import ALL_S, FULL_BUDGET_S, ONE_S, QUICK_BUDGET_S, in_words, pace_of
from conformance.benchmark.workload import BenchmarkCase
from conformance.engine.discovery import registered, select
from conformance.engine.selection import Options
from conformance.pytest_plugin import measuring
from conformance.pytest_plugin.items import take_turns
from conformance.pytest_plugin.measuring import Measuring
from impls.systems import SYSTEM_NAMES

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize("beside_s", [0.2, 2.0, 30.0])
@pytest.mark.parametrize(("implementations", "allowed_s"), [(1, ONE_S), (70, ALL_S)])
@pytest.mark.parametrize("pairs", [1, 10, 80, 500])
def test_a_default_run_ends_in_time_however_long_preparing_takes(
    pairs: int, implementations: int, allowed_s: float, beside_s: float
) -> None:
    pace, gone_s, last_s = pace_of(implementations, quick=False, thorough=False), 0.0, 0.0
    for left in range(pairs, 0, -1):
        budget_s = pace.budget_s(gone_s, left)
        if budget_s is None:
            break
        assert QUICK_BUDGET_S <= budget_s <= FULL_BUDGET_S
        last_s = 2 * budget_s + beside_s
        gone_s += last_s
    assert gone_s <= allowed_s + last_s


def test_what_is_planned_fits_without_leaving_anything_out() -> None:
    pace, gone_s = pace_of(70, quick=False, thorough=False), 0.0
    for left in range(100, 0, -1):
        budget_s = pace.budget_s(gone_s, left)
        assert budget_s is not None
        gone_s += 2 * budget_s + 2.0
    assert 0.9 * ALL_S < gone_s <= ALL_S
    assert round(pace.expected_s(100), 6) == ALL_S


def test_quick_and_thorough_have_their_budgets_whatever_is_gone() -> None:
    assert pace_of(70, quick=True, thorough=False).budget_s(1e6, 1) == QUICK_BUDGET_S
    assert pace_of(70, quick=False, thorough=True).budget_s(1e6, 1) == FULL_BUDGET_S


def test_a_time_in_words() -> None:
    assert [in_words(seconds) for seconds in (40.2, 540.0, 9000.0)] == ["40 s", "9 min", "2.5 h"]


def chosen(options: Options, system: str) -> set[str]:
    return {case.workload.id for case in benchmark_cases(system, registered(), options)}


@pytest.mark.parametrize("system", SYSTEM_NAMES)
def test_a_few_workloads_represent_a_system_and_thorough_measures_all(system: str) -> None:
    every = {each.id for each in importlib.import_module(f"conformance.{system}.workloads").WORKLOADS if "cpu" in each.devices}
    assert chosen(Options(thorough=True), system) == every
    assert 2 <= len(chosen(Options(), system)) <= 5
    assert chosen(Options(quick=True), system) < every


def test_the_default_run_of_everything_has_pairs_for_its_time() -> None:
    pairs = [case for system in SYSTEM_NAMES for case in benchmark_cases(system, registered(), Options())]
    assert sum(hindrance(case) is None for case in pairs) <= ALL_S / (2 * QUICK_BUDGET_S + 2.0)


def test_whoever_is_timed_at_all_is_timed_by_default() -> None:
    """Each implementation has a workload among those that represent its system, where it has any."""
    for system in SYSTEM_NAMES:
        for device in ("cpu", "cuda"):
            timed = [
                {
                    case.implementation.name
                    for case in benchmark_cases(system, registered(), options)
                    if hindrance(case) is None
                }
                for options in (Options((device,)), Options((device,), thorough=True))
            ]
            assert timed[0] == timed[1]


def test_a_baseline_that_nobody_asked_for_is_measured_only_beside_somebody() -> None:
    only = select(["ademamix/cpu-bfloat16-moments"]).implementations
    cases = [(case.implementation.name, case.workload.id) for case in benchmark_cases("ademamix", only, Options())]
    assert ("ademamix/torch-eager", "bfloat16-moments-1e6") in cases
    assert ("ademamix/torch-eager", "float32-1e6") not in cases


def test_systems_take_turns_workload_by_workload() -> None:
    items: Any = [
        SimpleNamespace(callspec=SimpleNamespace(params={"benchmark_case": case}))
        for system in ("rag", "rig")
        for case in benchmark_cases(system, select(["rag/official", "rig/re"]).implementations, Options())
    ]
    other: Any = SimpleNamespace()
    mixed = [other, *items]
    take_turns(mixed)
    order = dict.fromkeys(
        (case.workload.system, case.workload.id) for case in (i.callspec.params["benchmark_case"] for i in mixed[:-1])
    )
    assert [system for system, _ in order][:4] == ["rag", "rig", "rag", "rig"]
    assert mixed[-1] is other
    assert sorted(map(id, mixed)) == sorted(map(id, [other, *items]))


def test_nothing_is_begun_when_the_time_is_spent(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = iter([0.0, ONE_S / 2, ONE_S])
    config: Any = SimpleNamespace(
        pluginmanager=SimpleNamespace(getplugin=lambda name: None), option=SimpleNamespace(verbose=0)
    )
    paced = Measuring(config, now=lambda: next(seconds))
    paced._pace, paced._count = pace_of(1, quick=False, thorough=False), 2
    monkeypatch.setattr(measuring, "hindrance", lambda case: None)
    monkeypatch.setattr(measuring, "measure", lambda case: case)
    _, case, *_ = benchmark_cases("rag", registered(), Options())
    measured: Any = paced.measure(case)
    assert measured.budget_s == FULL_BUDGET_S
    assert paced.measure(case) is None
    assert paced.unbegun == 1


def test_where_the_baseline_cannot_be_timed_nobody_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    paced: Any = Measuring(SimpleNamespace(), now=lambda: 0.0)  # type: ignore[arg-type]
    baseline, other, _, later, *_ = benchmark_cases("rag", select(["rag/*"]).implementations, Options())
    measured: list[str] = []

    def measure(case: BenchmarkCase) -> Measurement:
        measured.append(case.id)
        return Measurement([case.record(verdict="measuring fault", message="the ceiling is not steady")])

    monkeypatch.setattr(measuring, "measure", measure)
    found = [paced.measure(case).deciding for case in (baseline, other, later)]
    assert measured == [baseline.id, later.id]
    assert [(each.verdict, each.message) for each in found] == [("measuring fault", "the ceiling is not steady")] * 3
    assert later.workload != baseline.workload


MEASURE = [sys.executable, "-m", "pytest", "--benchmark-only", "-p", "no:cacheprovider", "-p", "tests.core.scripted_clock"]
MEASURE += ["--impl=rag/official", "--no-header", "--benchmark-columns=median"]


def test_a_run_says_first_how_long_it_takes_and_its_own_table_comes_first() -> None:
    done = subprocess.run(MEASURE, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    said = re.search(r"^measuring 4 pairs of workload and implementation, about \d+ s; (.*)$", done.stdout, re.MULTILINE)
    assert said
    assert said[1].startswith("--thorough measures the whole grid of 8, about")
    places = [done.stdout.index(words) for words in (said[0], "speed: the fastest first", "official grammar", "Median")]
    assert places == sorted(places)
    assert "[1 of 4" not in done.stdout  # nobody watches


def test_a_terminal_shows_how_far_it_is() -> None:
    shown = bytearray()
    pid, descriptor = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.execv(sys.executable, MEASURE)
    while True:
        try:
            if not (data := os.read(descriptor, 4096)):
                break
        except OSError:  # its end, on Linux
            break
        shown.extend(data)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    text = shown.decode()
    for number in (1, 4):
        assert re.search(rf"\[{number} of 4, about \d+ s to go\] \S+-cpu-rag/", text)
    assert "\x1b[32m.\x1b[0m" not in text  # a line instead of letters
