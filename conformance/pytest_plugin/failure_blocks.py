"""Show at most two blocks of detail for each requirement of each implementation; the records hold all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from conformance.pytest_plugin.gatherer import verdict_of

MOST_BLOCKS = 2
USUAL = "fE"
"""The characters of ``-r`` that pytest assumes where none are given."""


@contextmanager
def few_blocks(terminal: pytest.TerminalReporter) -> Iterator[None]:
    """Hide the other failures from the terminal while it writes their blocks; pytest's last line counts them again."""
    every = terminal.stats.get("failed", [])
    shown: Counter[tuple[str, str]] = Counter()
    kept = []
    for report in every:
        result = verdict_of(report)
        if result is not None:
            shown[result.implementation, result.requirement] += 1
        if result is None or shown[result.implementation, result.requirement] <= MOST_BLOCKS:
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
        terminal.stats["failed"] = [report for report in terminal.stats["failed"] if verdict_of(report) is None]
