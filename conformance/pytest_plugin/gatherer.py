"""Gather records from the reports of finished items, in this process and in workers."""

from __future__ import annotations

import pytest

from conformance.engine.runner import list_test_cases, unjudged
from conformance.pytest_plugin.options import options_of
from conformance.pytest_plugin.run_state import run_of
from conformance.records import io
from conformance.records.fields import Record
from conformance.records.schema import Verdict, VerdictRecord
from impls.systems import SYSTEMS

PROPERTY = "gaugeblock"
"""The user property under which an item's records travel in its report, as JSON, also from a worker."""
NAME = "gaugeblock-gatherer"
MOST_EARLY_DEATHS = 10


def attach(item: pytest.Item, record: Record) -> None:
    """Put a record on the item's report."""
    item.user_properties.append((PROPERTY, record.to_json()))


def record_on(report: pytest.TestReport) -> Record | None:
    """The first record on a report: of a test case its verdict; None for tests that are not of the suite."""
    return next((io.record_of(value) for key, value in getattr(report, "user_properties", ()) if key == PROPERTY), None)


class Gatherer:
    """A pytest plugin that appends the records of every report to the run's."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._early_deaths = 0

    def count_death(self) -> None:
        """Count a crashed worker. End the run after many in a row that tested nothing: the next would crash too."""
        self._early_deaths += 1
        if self._early_deaths >= MOST_EARLY_DEATHS:
            pytest.exit(
                f"{self._early_deaths} workers in a row died before they judged anything; run without -n to see why",
                pytest.ExitCode.INTERNAL_ERROR,
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the records. A crashed worker leaves none: record an error of the implementation that it was testing."""
        self._early_deaths = 0
        if record_on(report) is not None:
            # Compilers and libraries log by the thousand.
            report.sections = [section for section in report.sections if not section[0].startswith("Captured log")]
        found = [io.record_of(value) for key, value in report.user_properties if key == PROPERTY]
        if report.when == "call":
            run_of(self._config).keep(found)
        elif report.when not in ("setup", "teardown") and report.failed and not found:
            crash = self._crash(report)
            if crash is not None:
                self._keep_crash(crash)

    def _crash(self, report: pytest.TestReport) -> VerdictRecord | None:
        node = report.nodeid.partition("@")[0]
        for system in SYSTEMS:
            for case in list_test_cases(system.name, run_of(self._config).selection.implementations, options_of(self._config)):
                if node.endswith(f"test_{system.name}.py::test_conforms[{case.id}]"):
                    return unjudged(case, Verdict.ERROR, "the process that was testing it crashed")
        return None

    def _keep_crash(self, crash: VerdictRecord) -> None:
        """Replace a verdict on the same test case that was recorded just before the crash."""
        run = run_of(self._config)
        run.records[:] = [x for x in run.records if not (isinstance(x, VerdictRecord) and x.key == crash.key)]
        run.keep([crash])
