"""The tests that `gaugeblock.testing` makes of requirements, and their records."""

from __future__ import annotations

import fnmatch
import os
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pytest

from conformance.benchmark import environment
from conformance.engine.discovery import select
from conformance.engine.explanation import explain
from conformance.engine.requirement import Level, Requirement
from conformance.engine.runner import COMMAND, TestCase, list_test_cases, run_test_case
from conformance.engine.selection import Options, requirements_of
from conformance.records import header as heading
from conformance.records import io
from conformance.records.schema import JUDGED, RED, OptionsRecord, RequirementRecord, VerdictRecord
from gaugeblock.testing import CheckPlan
from impls.implementation import Implementation, is_installed
from impls.systems import SYSTEMS
from impls.triton_support import choose_interpreter

PROPERTY = "gaugeblock"
"""The user property under which verdicts travel in a test's report, also from a worker of xdist."""
SPEC = "gaugeblock-spec"
"""Likewise, what selects the implementation."""


@dataclass(eq=False)
class RequirementTest:
    """One requirement and its test cases. Call it in the test."""

    requirement: Requirement
    test_cases: tuple[TestCase, ...]
    properties: list[tuple[str, object]] = field(default_factory=list)
    """What the report of this test takes along."""

    def __call__(self) -> None:
        """Run every case. Fails with the worst one in words; skips where none could be judged."""
        results = [run_test_case(test_case) for test_case in self.test_cases]
        self.properties += [(PROPERTY, result.to_json()) for result in results]
        self.properties += {(SPEC, test_case.implementation.selector) for test_case in self.test_cases}
        red = [result for result in results if result.verdict in RED]
        if red:
            worst = max(red, key=lambda result: result.margin or 0.0)
            others = f"\n({len(red)} of {len(results)} cases of this requirement fail)" if len(results) > 1 else ""
            pytest.fail(explain(worst) + others, pytrace=False)
        if not any(result.verdict in JUDGED for result in results):
            ((reason, _),) = Counter(f"{r.verdict.value}: {r.message}" for r in results).most_common(1)
            pytest.skip(reason)


def parametrize(metafunc: pytest.Metafunc, plan: CheckPlan) -> None:
    """Give a test its requirements. UsageError where the plan cannot be carried out."""
    if "check" not in metafunc.fixturenames:
        raise pytest.UsageError(
            f"{metafunc.definition.nodeid}: expected an argument named check, which the test calls: check()"
        )
    os.environ.setdefault(COMMAND, "gaugeblock check")
    options = options_of(metafunc.config, plan)
    if "cuda" not in options.devices and is_installed("torch"):
        choose_interpreter()
    implementations = implementations_of(plan.spec, metafunc.definition.path.parent)
    system = implementations[0].system
    known = requirements_of(system)
    wrong = [name for name in plan.expected_failures if not fnmatch.filter(known, name)]
    if wrong:
        raise pytest.UsageError(f"expected_failures: found {', '.join(wrong)}, expected ids of {', '.join(known)}, or globs")
    by_requirement: dict[str, list[TestCase]] = {}
    for test_case in list_test_cases(system, implementations, options):
        if known[test_case.check.requirement].level in map(Level, plan.levels):
            by_requirement.setdefault(test_case.check.requirement, []).append(test_case)
    if not by_requirement:
        chosen = {"levels": plan.levels, "dtypes": options.dtypes or ("all",), "devices": options.devices}
        found = ", ".join(f"{name} {' '.join(values)}" for name, values in chosen.items())
        raise pytest.UsageError(f"{metafunc.definition.nodeid}: no case of {system} is selected; found {found}")
    metafunc.parametrize(
        "check",
        [
            pytest.param(RequirementTest(known[id_], tuple(found)), id=id_, marks=marks_of(id_, plan))
            for id_, found in by_requirement.items()
        ],
    )


def options_of(config: pytest.Config, plan: CheckPlan) -> Options:
    """Which cases to run: the plan's, where the command line does not say."""
    option = config.getoption
    quick, thorough = option("--gaugeblock-quick"), option("--gaugeblock-thorough")
    return Options(
        devices=tuple(option("--gaugeblock-device") or plan.devices),
        dtypes=tuple(option("--gaugeblock-dtype") or plan.dtypes),
        quick=quick or (plan.quick and not thorough),
        thorough=thorough or (plan.thorough and not quick),
    )


def implementations_of(spec: Any, folder: Path) -> tuple[Implementation, ...]:
    """The implementation that a plan names; relative paths count from ``folder``. UsageError where it cannot be used.

    An object that rounds differently in some dtypes is two implementations, of one target.
    """
    if not isinstance(spec, str):
        name = getattr(spec, "__qualname__", "")
        if not name or "<" in name:
            raise pytest.UsageError(
                f"found {spec!r}, expected a class or function of a module, or a text as for gaugeblock check"
            )
        spec = f"{spec.__module__}:{name}"
    head, separator, target = spec.rpartition("=") if not spec.startswith("cmd:") and "=cmd:" not in spec else ("", "", spec)
    file, colon, attribute = target.rpartition(":")
    if file.endswith(".py") and (folder / file).is_file():
        spec = f"{head}{separator}{folder / file}{colon}{attribute}"
    found = select([spec])
    if len({implementation.target for implementation in found.implementations}) != 1:
        reasons = "; ".join(failure.message for failure in found.failures)
        raise pytest.UsageError(f"{spec}: {reasons or f'found {len(found.implementations)} implementations, expected one'}")
    return found.implementations


def marks_of(id_: str, plan: CheckPlan) -> list[pytest.MarkDecorator]:
    """xfail, where the plan expects this requirement to fail."""
    reasons = [reason for name, reason in plan.expected_failures.items() if fnmatch.fnmatchcase(id_, name)]
    return [pytest.mark.xfail(reason="; ".join(reasons), strict=plan.strict)] if reasons else []


class Recorder:
    """A plugin that writes the verdicts of all such tests to one record file."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config
        self._began = heading.Began()
        self._records: list[VerdictRecord] = []
        self._specs: dict[str, None] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take the verdicts of a test that has been called."""
        if report.when == "call":
            found = [io.record_of(value) for key, value in report.user_properties if key == PROPERTY]
            self._records += [record for record in found if isinstance(record, VerdictRecord)]
            self._specs |= {str(value): None for key, value in report.user_properties if key == SPEC}

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        """Write the file."""
        option = self._config.getoption
        options = OptionsRecord(
            quick=option("--gaugeblock-quick"),
            thorough=option("--gaugeblock-thorough"),
            device=tuple(option("--gaugeblock-device") or ("cpu",)),
            dtype=tuple(option("--gaugeblock-dtype") or ()),
        )
        header = heading.header(
            self._began,
            environment.suite_version(),
            environment.describe(with_gpu="cuda" in options.device),
            options,
            select([*self._specs]).implementations if self._specs else (),
            (),
            (RequirementRecord(system=s.name, **asdict(rule)) for s in SYSTEMS for rule in requirements_of(s.name).values()),
        )
        footer = self._began.footer(int(exitstatus))
        io.write(Path(option("--gaugeblock-records")).absolute(), header, self._records, footer)
