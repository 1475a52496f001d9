"""The end of a run on the terminal: one line per implementation, and what else the user must know."""

from __future__ import annotations

import textwrap
from collections import Counter
from collections.abc import Iterable

import pytest

from conformance.engine import xfails
from conformance.pytest_plugin.run_state import RunState
from conformance.records.schema import Verdict, VerdictRecord
from impls.implementation import in_one_line
from impls.systems import SYSTEMS

COLUMNS = {
    "pass": Verdict.PASS,
    "fail": Verdict.FAIL,
    "error": Verdict.ERROR,
    "unsup": Verdict.UNSUPPORTED,
    "n.run": Verdict.NOT_RUN,
}


def summary_table(results: Iterable[VerdictRecord]) -> list[str]:
    """A header and a line per implementation: the number of verdicts of each kind, and its worst margin."""
    by_implementation: dict[str, list[VerdictRecord]] = {}
    for result in results:
        by_implementation.setdefault(result.implementation, []).append(result)
    if not by_implementation:
        return []
    width = max(map(len, by_implementation))
    lines = [f"{'':{width}}  {' '.join(f'{word:>5}' for word in COLUMNS)}  worst margin"]
    order = [system.name for system in SYSTEMS]
    for name, own in sorted(by_implementation.items(), key=lambda item: (order.index(item[1][0].system), item[0])):
        counts = Counter(result.verdict for result in own)
        numbers = " ".join(f"{counts[verdict]:>5}" for verdict in COLUMNS.values())
        lines.append(f"{name:<{width}}  {numbers}  {_worst(own)}")
    return lines


LONGEST_REASON = 160


def _worst(results: list[VerdictRecord]) -> str:
    """The largest margin and its place; where nothing was compared, the commonest reason why."""
    measured = [(result.margin, result) for result in results if result.margin is not None]
    if not measured:
        ((reason, _),) = Counter(result.message for result in results).most_common(1)
        return f"- ({textwrap.shorten(reason, LONGEST_REASON, placeholder='...')})" if reason else "-"
    margin, worst = max(measured, key=lambda pair: pair[0])
    place = " ".join(part for part in (worst.requirement, worst.case, worst.dtype) if part)
    return f"{margin:.3g} ({place})" if margin > 0 else f"{margin:.3g}"


def summarise(terminal: pytest.TerminalReporter, run: RunState) -> None:
    """Write the table, stale expected failures, unusable plugs, what --against found, and where the records are."""
    option = run.config.getoption
    results = run.of(VerdictRecord)
    if results:
        terminal.section("conformance")
    for line in summary_table(results):
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
