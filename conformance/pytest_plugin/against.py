"""Compare the run with the earlier ones that --against names; measure again whatever may have become slower."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from conformance.benchmark.benchmark import measure
from conformance.benchmark.workload import BenchmarkCase
from conformance.engine import discovery, xfails
from conformance.pytest_plugin.items import parameters
from conformance.pytest_plugin.run_state import RunState, run_of
from conformance.records.schema import ImplementationRecord, MeasurementRecord, TakeRecord, VerdictRecord
from conformance.regression import compare, speeds

MEASURED_AGAIN = "gaugeblock_measured_again"
"""The key under which a worker hands over the records of what it measured again."""


def compare_with_earlier(run: RunState) -> compare.Findings:
    """What this run lost, and what it does slower, than the earlier ones."""
    option, config = run.config.getoption, run.config
    part = (
        option("--level")
        or option("keyword", "")
        or option("markexpr", "")
        or option("lf", False)
        or any("::" in a for a in config.args)
    )
    selected = compare.Selected(lambda row: asked_for(row, option("--impl")), whole=not part, quick=option("--quick"))
    return compare.findings(run.earlier, run.header, run.records, selected, _expected_failures(run))


def asked_for(row: ImplementationRecord, specs: Sequence[str]) -> bool:
    """Whether the ``--impl`` arguments of this run select an implementation of an earlier one."""
    selector = row.selector or row.name
    if selector in specs:
        return True
    # A plug is tested only by a run that names it.
    return selector == row.name and any(discovery.names(spec, row.name, row.origin.kind) for spec in specs or ["*"])


def _expected_failures(run: RunState) -> list[VerdictRecord]:
    """The verdicts that --xfails expects to be red."""
    return [result for result in run.of(VerdictRecord) if xfails.expected(run.expected, result) is not None]


def measure_again(session: pytest.Session) -> list[dict[str, Any]]:
    """Measure every suspect of a slowdown again, round by round; return the records that gained a take.

    This comes after all other measurements of the process, so that each round is as far from the first take as possible.
    """
    by_id: dict[tuple[str, str, str], BenchmarkCase] = {}
    for item in session.items:
        found = parameters(item).get("benchmark_case")
        if found is not None:
            by_id[found.implementation.name, found.workload.id, found.device] = found
    if not by_id:
        return []
    run = run_of(session.config)
    gained: set[speeds.Key] = set()
    for _ in range(speeds.TAKES - 1):
        held = compare.speeds(run.earlier, run.header, run.of(MeasurementRecord))
        wanted = {change.now.key for change in speeds.suspects(held.changes)}
        for place in dict.fromkeys((key[0], key[1], key[3]) for key in sorted(wanted)):
            again = {each.key: each.take() for each in measure(by_id[place]).records} if place in by_id else {}
            _add_takes(run, {key: (take,) for key, take in again.items() if key in wanted})
            gained |= again.keys() & wanted
    return [record.to_json() for record in run.of(MeasurementRecord) if record.key in gained]


def merge_takes(run: RunState, measured_again: list[dict[str, Any]]) -> None:
    """Put a worker's further takes into the records that it reported earlier."""
    _add_takes(run, {record.key: record.takes for record in map(MeasurementRecord.from_json, measured_again)})


def _add_takes(run: RunState, takes: Mapping[speeds.Key, tuple[TakeRecord, ...]]) -> None:
    for place, record in enumerate(run.records):
        if isinstance(record, MeasurementRecord) and record.key in takes:
            run.records[place] = replace(record, takes=record.takes + takes[record.key])
