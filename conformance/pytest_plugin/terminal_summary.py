"""The end of a run on the terminal: verdicts by level, what is likeliest wrong, comparisons, and where the records are."""

from __future__ import annotations

import shutil

import pytest

from conformance.engine.selection import requirements_of
from conformance.pytest_plugin.exit_status import reasons
from conformance.pytest_plugin.implementation_summary import few_lines, screen
from conformance.pytest_plugin.run_state import RunState
from conformance.records.schema import RED, VerdictRecord
from conformance.records.verdict_table import by_name, verdict_table
from impls.systems import SYSTEMS

MOST_SCREENS = 4
"""Where more implementations have failures, each gets a few lines instead of a screen."""
WIDEST = 160
LOGGED = 120
"""The width where no terminal says its own."""


def summarise(terminal: pytest.TerminalReporter, run: RunState) -> None:
    """Write the screens and the table, what else fails the run, what --against found, and where the records are."""
    option = run.config.getoption
    results = run.of(VerdictRecord)
    if results:
        _write_verdicts(terminal, results)
    for reason in reasons(run):
        terminal.write_line(reason, red=not reason.startswith("stale"))
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


def _write_verdicts(terminal: pytest.TerminalReporter, results: list[VerdictRecord]) -> None:
    """The table of all, then a screen for each implementation with failures: what was last written is read first."""
    rules = {system.name: requirements_of(system.name) for system in SYSTEMS}
    terminal.section("conformance")
    levels = {id_: rule.level for own in rules.values() for id_, rule in own.items()}
    for line in verdict_table(results, levels):
        terminal.write_line(line)
    wrong = {name: own for name, own in by_name(results).items() if any(result.verdict in RED for result in own)}
    width = min(shutil.get_terminal_size().columns, WIDEST) if terminal.isatty else LOGGED
    for name, own in wrong.items():
        terminal.section(name, sep="-")
        for line in (few_lines if len(wrong) > MOST_SCREENS else screen)(own, rules[own[0].system], width):
            terminal.write_line(line)
