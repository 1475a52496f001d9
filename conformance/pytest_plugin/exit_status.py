"""Decide the exit status of a run, and say why where the verdicts alone do not show it. docs/plugging-in.md has the table."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from conformance.engine import xfails
from conformance.engine.discovery import names
from conformance.engine.runner import not_installed
from conformance.pytest_plugin.run_state import RunState
from conformance.records.schema import JUDGED, MeasurementRecord, Verdict, VerdictRecord
from impls.implementation import Implementation, in_one_line

NOTHING_JUDGED = pytest.ExitCode.NO_TESTS_COLLECTED
"""pytest's own status for a run without a test: nothing failed, and nothing is known to be right."""


def exit_status(run: RunState, status: int) -> int:
    """The status of a run that pytest itself ends with ``status``; `reasons` says in words what is added here."""
    if run.selection_if_needed.failures or (run.findings and run.findings.worse) or strictly_stale(run):
        return pytest.ExitCode.TESTS_FAILED
    return NOTHING_JUDGED if status == pytest.ExitCode.OK and list(unjudged(run)) else status


def reasons(run: RunState) -> Iterator[str]:
    """What fails the run although no test case failed, one line each."""
    strict = run.config.getoption("--strict-xfails")
    for entry in xfails.stale(run.expected, run.of(VerdictRecord)):
        line = f"line {entry.line} of {run.config.getoption('--xfails')}, {entry.text!r}, matched no failure"
        yield f"{'ERROR: ' if strict else ''}stale: {line}"
    for failure in run.selection_if_needed.failures:
        yield f"ERROR: --impl {in_one_line(failure.spec)}: {failure.message}"
    for spec, why in unjudged(run):
        who = f"--impl {in_one_line(spec)}" if spec else "this run"
        yield f"NOTHING JUDGED: {who}: {why}"


def strictly_stale(run: RunState) -> bool:
    """Whether --strict-xfails is given and some line of --xfails matched no failure."""
    return bool(run.config.getoption("--strict-xfails") and xfails.stale(run.expected, run.of(VerdictRecord)))


def unjudged(run: RunState) -> Iterator[tuple[str, str]]:
    """Each --impl argument of which test cases were listed and none was decided, with the commonest reason.

    Where there is no argument, "" stands for the whole run. An argument without any test case was left out by -k, say: it
    is named only where its packages are missing, so that -k does not hide that.
    """
    found: list[VerdictRecord | MeasurementRecord] = [*run.of(VerdictRecord), *run.of(MeasurementRecord)]
    for spec in run.config.getoption("--impl") or ([""] if found else []):
        chosen = [each for each in run.selection.implementations if spec and _selects(spec, each)]
        own = [record for record in found if not spec or record.implementation in {each.name for each in chosen}]
        absent = [] if own or run.config.option.collectonly else list(filter(None, map(not_installed, chosen)))
        if absent and len(absent) == len(chosen):
            yield spec, str(absent[0])
        if own and not any(map(_decided, own)):
            messages = [record.message for record in own]
            yield spec, max(set(messages), key=lambda message: (messages.count(message), message)) or "no reason was given"


def _selects(spec: str, implementation: Implementation) -> bool:
    return implementation.selector == spec or names(spec, implementation.name, implementation.origin.kind)


def _decided(record: VerdictRecord | MeasurementRecord) -> bool:
    if isinstance(record, VerdictRecord):
        return record.verdict in JUDGED
    return record.verdict not in (Verdict.UNSUPPORTED, Verdict.NOT_RUN)
