"""Show at most two blocks of detail for each requirement of an implementation, and each workload; the records hold all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conformance.pytest_plugin.gatherer import record_on
from conformance.records.schema import MeasurementRecord, VerdictRecord

MOST_BLOCKS = 2
NO_RECORD = ("", "")
USUAL = "fE"
"""The characters of ``-r`` that pytest assumes where none are given."""


@contextmanager
def few_blocks(terminal: pytest.TerminalReporter) -> Iterator[None]:
    """Hide the other failures from the terminal while it writes their blocks; pytest's last line counts them again."""
    every = terminal.stats.get("failed", [])
    shown: Counter[tuple[str, str]] = Counter()
    kept = []
    for report in every:
        place = _place(report)
        shown[place] += 1
        if place == NO_RECORD or shown[place] <= MOST_BLOCKS:
            kept.append(report)
    if every:
        terminal.stats["failed"] = kept
    try:
        yield
    finally:
        if every:
            terminal.stats["failed"] = every


def hide_from_list(terminal: pytest.TerminalReporter) -> None:
    """Leave test cases out of pytest's list of failed tests, unless ``-r`` asks for it: the summary behind it says more."""
    if terminal.config.option.reportchars == USUAL and "failed" in terminal.stats:
        terminal.stats["failed"] = [report for report in terminal.stats["failed"] if _place(report) == NO_RECORD]


def no_test_cases(terminal: pytest.TerminalReporter) -> list[str]:
    """The names of the failed tests and fixtures that are no test case of an implementation."""
    reports = [*terminal.stats.get("failed", []), *terminal.stats.get("error", [])]
    return [report.nodeid for report in reports if _place(report) == NO_RECORD]


def _place(report: pytest.TestReport) -> tuple[str, str]:
    """What a failure is counted with: implementation and requirement, or workload and verdict."""
    record = record_on(report)
    if isinstance(record, VerdictRecord):
        return record.implementation, record.requirement
    return (record.workload, record.verdict) if isinstance(record, MeasurementRecord) else NO_RECORD
