"""The end of a run on the terminal: verdicts by level, what is likeliest wrong, comparisons, and where the records are."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

import pytest

from conformance.engine.declarations import numerical_classes
from conformance.engine.diagnosis import ranked
from conformance.engine.discovery import registered
from conformance.engine.other_classes import other_classes
from conformance.engine.requirement import Requirement
from conformance.engine.selection import requirements_of
from conformance.engine.several_causes import explain_enough, several_causes
from conformance.pytest_plugin import measuring
from conformance.pytest_plugin.exit_status import reasons
from conformance.pytest_plugin.failure_blocks import no_test_cases
from conformance.pytest_plugin.implementation_summary import few_lines, screen
from conformance.pytest_plugin.run_state import RunState
from conformance.pytest_plugin.speed_table import speed_table
from conformance.records.schema import RED, MeasurementRecord, VerdictRecord
from conformance.records.verdict_table import by_name, verdict_table
from impls.implementation import Implementation
from impls.systems import SYSTEMS

MOST_SCREENS = 4
"""Where more implementations have failures, each gets a few lines instead of a screen."""
MOST_NAMES = 20
"""Of failed tests that are no test case of an implementation."""
WIDEST = 160
LOGGED = 120
"""The width where no terminal says its own."""


def summarise(terminal: pytest.TerminalReporter, run: RunState) -> None:
    """Write the screens and the table, what else fails the run, what --against found, and where the records are."""
    option = run.config.getoption
    results = run.of(VerdictRecord)
    if results:
        _write_verdicts(terminal, run, results)
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
    if results:
        _write_others(terminal)


def write_speeds(terminal: pytest.TerminalReporter, run: RunState) -> None:
    """Write who is fastest on each workload."""
    records = run.of(MeasurementRecord)
    if records:
        terminal.section("speed: the fastest first")
        # A baseline that nobody asked for is listed, and not selected.
        readers = (each for each in (*registered(), *run.selection.implementations) if not each.dtypes)
        grammars = {each.name: each.numerical_class or numerical_classes(each.system)[0] for each in readers}
        for line in speed_table(records, grammars):
            terminal.write_line(line)
    if unbegun := run.config.pluginmanager.getplugin(measuring.NAME).unbegun:
        terminal.write_line(
            f"\ntime ran out: {unbegun} pairs were not measured; --thorough has no limit, --impl chooses fewer"
        )


def _write_verdicts(terminal: pytest.TerminalReporter, run: RunState, results: list[VerdictRecord]) -> None:
    """The table of all, then a screen for each implementation with failures: what was last written is read first."""
    rules = {system.name: requirements_of(system.name) for system in SYSTEMS}
    terminal.section("conformance")
    levels = {id_: rule.level for own in rules.values() for id_, rule in own.items()}
    for line in verdict_table(results, levels):
        terminal.write_line(line)
    wrong = _wrong(results)
    width = min(shutil.get_terminal_size().columns, WIDEST) if terminal.isatty else LOGGED
    for name, own in wrong.items():
        terminal.section(name, sep="-")
        system = rules[own[0].system]
        for line in few_lines(own, system, width) if len(wrong) > MOST_SCREENS else _screen(run, name, own, system, width):
            terminal.write_line(line)


def _write_others(terminal: pytest.TerminalReporter) -> None:
    """Name again what failed besides: pytest's list stands before the screens, where a log of CI is not read."""
    failed = no_test_cases(terminal)
    for name in failed[:MOST_NAMES]:
        terminal.write_line(f"also failed: {name}", red=True)
    if (more := len(failed) - MOST_NAMES) > 0:
        terminal.write_line(f"and {more} more", red=True)


def look_for_causes(run: RunState) -> None:
    """Run failures again under other numerical classes and beside mutants, while the processes of what is tested are there."""
    wrong = _wrong(run.of(VerdictRecord))
    for name, results in wrong.items() if len(wrong) <= MOST_SCREENS else ():
        implementation = _implementation(run, name)
        # A class has room for a small mistake too. Where a planted bug explains most failures, that is the likelier cause.
        one = ranked(results)
        classes = () if one else other_classes(implementation, results)
        several = None if classes or explain_enough(one, results) else several_causes(implementation, results)
        run.causes[name] = classes, several


def _screen(run: RunState, name: str, results: list[VerdictRecord], rules: Mapping[str, Requirement], width: int) -> list[str]:
    """The screen of an implementation; with what was found by running its failures again."""
    implementation = _implementation(run, name)
    plugged = implementation.origin.kind in ("path", "module")
    declared_on = implementation.target.rpartition(":")[2] if plugged else ""
    classes, several = run.causes.get(name, ((), None))
    return screen(results, rules, width, classes, declared_on, several)


def _implementation(run: RunState, name: str) -> Implementation:
    return next(each for each in run.selection.implementations if each.name == name)


def _wrong(results: list[VerdictRecord]) -> dict[str, list[VerdictRecord]]:
    """The results of each implementation that has failures or crashes."""
    return {name: own for name, own in by_name(results).items() if any(each.verdict in RED for each in own)}
