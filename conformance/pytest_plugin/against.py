"""Compare the run with the earlier ones that --against names; measure again whatever may have become slower."""

from __future__ import annotations

from typing import Any

import pytest

from conformance.benchmark.benchmark import Measurement, measure
from conformance.engine import xfails
from conformance.pytest_plugin.items import parameters
from conformance.pytest_plugin.run_state import RunState, run_of
from conformance.records.schema import VerdictRecord
from conformance.regression import compare, speeds

MEASURED_AGAIN = "gaugeblock_measured_again"
"""The key under which a worker hands over the lines that it measured again."""


def compare_with_earlier(run: RunState) -> compare.Findings:
    """What this run lost, and what it does slower, than the earlier ones."""
    option, config = run.config.getoption, run.config
    part = option("keyword", "") or option("markexpr", "") or option("lf", False) or any("::" in a for a in config.args)
    selected = compare.Selected(tuple(option("--impl")), whole=not part, quick=option("--quick"))
    return compare.findings(run.earlier, run.header, run.lines, selected, _expected_failures(run))


def _expected_failures(run: RunState) -> list[dict[str, Any]]:
    """The verdicts that --xfails expects to be red."""
    lines = [line for line in run.lines if line["record"] == "verdict"] if run.expected else []
    return [line for line in lines if xfails.expected(run.expected, VerdictRecord.from_json(line)) is not None]


def measure_again(session: pytest.Session) -> list[dict[str, Any]]:
    """Measure every suspect of a slowdown again, round by round; return the lines that gained a take.

    All other measurements of this process are done by then, so a round is as far from the first take as a run allows.
    """
    by_id: dict[tuple[str, str, str], Measurement] = {}
    for item in session.items:
        found = parameters(item).get("measurement")
        if found is not None:
            by_id[found.implementation.name, found.workload.id, found.device] = found
    if not by_id:
        return []
    run = run_of(session.config)
    gained: dict[speeds.Key, dict[str, Any]] = {}
    for _ in range(speeds.TAKES - 1):
        lines = {speeds.key_of(line): line for line in run.lines if line["record"] == "measurement"}
        held = compare.speeds(run.earlier, run.header, lines.values())
        wanted = {change.now.key for change in speeds.suspects(held.changes())}
        for place in dict.fromkeys((key[0], key[1], key[3]) for key in sorted(wanted)):
            for again in measure(by_id[place]).lines if place in by_id else ():
                key = speeds.key_of(again)
                if key in wanted:
                    lines[key].setdefault("takes", []).append(compare.take_of(again))
                    gained[key] = lines[key]
    return list(gained.values())


def merge_takes(run: RunState, measured_again: list[dict[str, Any]]) -> None:
    """Put a worker's further takes into the lines that it reported earlier."""
    for line in measured_again:
        for own in run.lines:
            if own["record"] == "measurement" and speeds.key_of(own) == speeds.key_of(line):
                own["takes"] = line["takes"]
