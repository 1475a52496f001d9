"""The end of a run on the terminal: verdicts, comparisons, and where the records are."""

from __future__ import annotations

import pytest

from conformance.engine import xfails
from conformance.pytest_plugin.run_state import RunState
from conformance.records.schema import VerdictRecord
from conformance.records.verdict_table import verdict_table
from impls.implementation import in_one_line


def summarise(terminal: pytest.TerminalReporter, run: RunState) -> None:
    """Write the table, stale expected failures, unusable plugs, what --against found, and where the records are."""
    option = run.config.getoption
    results = run.of(VerdictRecord)
    if results:
        terminal.section("conformance")
    for line in verdict_table(results):
        terminal.write_line(line)
    for entry in xfails.stale(run.expected, results):
        terminal.write_line(f"stale: line {entry.line} of {option('--xfails')}, {entry.text!r}, matched no failure")
    for failure in run.selection_if_needed.failures:
        terminal.write_line(f"ERROR: --impl {in_one_line(failure.spec)}: {failure.message}", red=True)
    if run.findings is not None:
        terminal.section(f"against {', '.join(option('--against'))}")
        for line in [*run.findings.lost, *run.findings.slower]:
            terminal.write_line(line, red=True)
        for line in run.findings.remarks or ["nothing to compare"]:
            terminal.write_line(line)
    target = option("--records")
    if target and not run.config.option.collectonly and run.unwritten:
        terminal.write_line(f"ERROR: --records {target}: not written: {run.unwritten}", red=True)
    elif target and not run.config.option.collectonly:
        terminal.write_line(f"records: {target}; render them with: python -m reports {target} -o DIR")
