"""Measure within the run's time: say at the start how long it will take, and show on a terminal how far it is."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import pytest

from conformance.benchmark.benchmark import Measurement, benchmark_cases, hindrance, measure, records_without_speed
from conformance.benchmark.pace import Pace, in_words, pace_of
from conformance.benchmark.workload import BenchmarkCase
from conformance.pytest_plugin.items import parameters
from conformance.pytest_plugin.options import options_of
from conformance.pytest_plugin.run_state import run_of
from impls.systems import SYSTEMS

NAME = "gaugeblock-measuring"


class Measuring:
    """A pytest plugin for runs that measure speed: one in each process that measures."""

    def __init__(self, config: pytest.Config, now: Callable[[], float] = time.monotonic) -> None:
        self._config, self._now = config, now
        self._began, self._done, self._count = now(), 0, 0
        self._pace = Pace()
        self._sustained = False
        self._left: set[str] = set()
        self._faults: dict[tuple[str, str, str], str] = {}
        self.unbegun = 0
        """How many measurements were not begun, since the time was spent."""

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Count what can be measured, say how long it will take, and start the clock."""
        cases = {item.nodeid: found for item in session.items if (found := parameters(item).get("benchmark_case")) is not None}
        if not cases:
            return
        options, chosen = options_of(self._config), run_of(self._config).selection.implementations
        self._sustained = bool(self._config.getoption("--sustained"))
        self._pace = pace_of(len(chosen), quick=options.quick, thorough=options.thorough)
        self._left = {node for node, case in cases.items() if hindrance(case) is None}
        count = len(self._left)
        # Of several processes each measures its share.
        self._count = -(-count // int(getattr(self._config, "workerinput", {}).get("workercount", 1)))
        words = f"measuring {count} pairs of workload and implementation, about {in_words(self._pace.expected_s(self._count))}"
        if not options.thorough and not options.quick:
            whole = replace(options, thorough=True)
            every = sum(hindrance(case) is None for s in SYSTEMS for case in benchmark_cases(s.name, chosen, whole))
            words += f"; --thorough measures the whole grid of {every}, about {in_words(Pace().expected_s(every))} or more"
        if self._terminal is not None:
            self._terminal.write_line(words)
        self._began = self._now()

    def measure(self, case: BenchmarkCase) -> Measurement | None:
        """Measure a case within its share of the time that is left; None where none is left, which is nobody's result."""
        if hindrance(case) is not None:
            return measure(case)
        gone_s, left = self._now() - self._began, self._count - self._done
        budget_s = self._pace.budget_s(gone_s, left)
        if budget_s is None:
            self.unbegun += 1
            return None
        self._done += 1
        place = case.workload.system, case.workload.id, case.device
        if place in self._faults:
            # What makes it impossible to time the baseline makes it impossible to compare with it, which would take minutes.
            fault = self._faults[place]
            return Measurement(records_without_speed(case, verdict="measuring fault", message=fault))
        measurement = measure(replace(case, budget_s=budget_s, sustained=self._sustained))
        if case.is_baseline and measurement.deciding.verdict == "measuring fault":
            self._faults[place] = measurement.deciding.message
        return measurement

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logstart(self, nodeid: str) -> None:
        """Say how far the run is, before pytest captures what is written."""
        if self._shows and nodeid in self._left:
            left, gone_s = self._count - self._done, self._now() - self._began
            to_go_s = gone_s / self._done * left if self._done else self._pace.expected_s(left)
            where = f"{self._done + 1} of {self._count}, about {in_words(to_go_s)} to go"
            self._rewrite(f"[{where}] {nodeid.partition('[')[2].removesuffix(']')}")

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """Show no letter where a line says how far the run is."""
        return (report.outcome, "", "") if self._shows and not report.failed and report.when == "call" else None

    def pytest_sessionfinish(self) -> None:
        """Remove the last line."""
        if self._shows:
            self._rewrite("")

    @property
    def _terminal(self) -> pytest.TerminalReporter | None:
        found: pytest.TerminalReporter | None = self._config.pluginmanager.getplugin("terminalreporter")
        return found

    @property
    def _shows(self) -> bool:
        """Whether a line says how far the run is: on a terminal, and where no line is written for each test anyway."""
        return self._terminal is not None and bool(self._terminal.isatty) and int(self._config.option.verbose) <= 0

    def _rewrite(self, line: str) -> None:
        if self._terminal is not None:
            self._terminal.rewrite(line, erase=True)
