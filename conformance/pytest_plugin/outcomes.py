"""Run one item, attach its records to its report, and turn the result into a pytest outcome."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from conformance.benchmark.benchmark import Measurement, replay
from conformance.engine import xfails
from conformance.engine.diagnosis import self_diagnosis
from conformance.engine.explanation import explain
from conformance.engine.mutation import Mutant, run_mutant
from conformance.engine.runner import RuledOut, TestCase, run_test_case
from conformance.engine.selection import requirements_of
from conformance.pytest_plugin.gatherer import attach
from conformance.pytest_plugin.options import deciding_levels
from conformance.pytest_plugin.run_state import run_of
from conformance.records.schema import Verdict, VerdictRecord


def judge(one: TestCase | RuledOut, item: pytest.Item) -> None:
    """Run a test case, or record why those of an implementation cannot run."""
    if isinstance(one, RuledOut):
        _skip_ruled_out(one, item)
    else:
        conclude(run_test_case(one), item)


def conclude(result: VerdictRecord, item: pytest.Item) -> None:
    """Record a verdict, and make it a pass, fail, skip or expected failure."""
    entry = xfails.expected(run_of(item.config).expected, result)
    result = replace(result, known=entry.text) if entry else result
    attach(item, result)
    if result.verdict in (Verdict.UNSUPPORTED, Verdict.NOT_RUN, Verdict.INCONCLUSIVE):
        pytest.skip(f"{result.verdict.value}: {result.message}")
    if result.verdict is Verdict.PASS:
        return
    if entry is not None:
        pytest.xfail(f"expected by line {entry.line}, {entry.text!r}: {result.message or f'margin {result.margin}'}")
    if requirements_of(result.system)[result.requirement].level not in deciding_levels(item.config):
        pytest.xfail(f"the paper is silent, so this decides nothing: {result.message or f'margin {result.margin}'}")
    pytest.fail(explain(result), pytrace=False)


def _skip_ruled_out(ruled_out: RuledOut, item: pytest.Item) -> None:
    """Record a verdict for each test case, and skip once with the number of each reason."""
    reasons: Counter[str] = Counter()
    for test_case in ruled_out.test_cases:
        result = run_test_case(test_case)
        attach(item, result)
        reasons[f"{result.verdict.value}: {result.message}"] += 1
    pytest.skip("; ".join(f"{count} {reason}" for reason, count in reasons.most_common()))


def conclude_measurement(measurement: Measurement | None, item: pytest.Item, benchmark: Any) -> None:
    """Record a measurement and show it through pytest-benchmark. A wrong answer fails; what cannot run is skipped."""
    if measurement is None:
        pytest.skip("the time of a default run is spent; --thorough has no limit, and --impl chooses fewer")
    deciding = measurement.deciding
    for each in measurement.records:
        attach(item, each)
    if deciding.verdict in ("unsupported", "not run"):
        pytest.skip(f"{deciding.verdict}: {deciding.message}")
    if deciding.verdict != "measured":
        where = f"{deciding.implementation} on {deciding.workload} ({deciding.device})"
        pytest.fail(f"{deciding.verdict.upper()}: {where}: {deciding.message}", pytrace=False)
    replay(benchmark, measurement)


def judge_mutant(mutant: Mutant, item: pytest.Item) -> None:
    """Run checks on a mutant. Fail where a planted bug survives, or where an honest variant is called wrong.

    A thorough run tries an honest variant in all dtypes, since it may be accused in one alone. A bug need only be
    caught in one. Only a thorough run tries a bug on the requirements that need not catch it, which fills the kill matrix.
    """
    thorough = item.config.getoption("--thorough")
    recognise, unlike = self_diagnosis(every_case=thorough)
    result = run_mutant(mutant, thorough and mutant.honest, recognise, every_check=thorough)
    if result.missed:
        result = run_mutant(mutant, every_check=thorough)  # some show in one dtype alone
    attach(item, result.record())
    if mutant.honest and result.killers:
        pytest.fail(f"FALSE ALARM: {mutant.name} is correct ({mutant.sentence}) yet fails {result.killers}", pytrace=False)
    if result.missed:
        pytest.fail(
            f"SURVIVED: {mutant.name} ({mutant.sentence}) must be caught by {', '.join(result.missed)}; "
            f"caught by {', '.join(result.killers) or 'nothing'}",
            pytrace=False,
        )
    if unlike:
        pytest.fail(f"NOT RECOGNISED: {mutant.name} does not resemble itself in {', '.join(unlike)}", pytrace=False)
