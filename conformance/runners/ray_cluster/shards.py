"""Split a run into shards, one pytest process each: one implementation on one device, or the mutants of one system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.benchmark.benchmark import benchmark_cases, records_without_speed
from conformance.engine.mutation import mutants_of
from conformance.engine.runner import list_test_cases, unjudged
from conformance.engine.selection import Options
from conformance.records.fields import Record
from conformance.records.io import Run
from conformance.records.schema import MeasurementRecord, Verdict, VerdictRecord
from impls.implementation import Implementation
from impls.systems import SYSTEMS

JUDGE, MEASURE, MUTANTS = "judge", "measure", "mutants"


@dataclass(frozen=True)
class Plan:
    """What the whole run was asked for."""

    address: str = "local"
    specs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu",)
    dtypes: tuple[str, ...] = ()
    quick: bool = False
    thorough: bool = False
    benchmark: bool = False
    records: Path = Path("fleet.jsonl")
    attempts: int = 3
    """How often a shard is run before it is given up."""
    timeout_s: float = 3600.0
    """How long one attempt may take."""
    patience_s: float = 120.0
    """How long a shard may wait for a machine that can run it."""
    checkout: str = ""
    """Where the nodes have this checkout, ~ being the home of each; empty: it is sent to them."""


@dataclass(frozen=True)
class Shard:
    """One pytest process with its ``arguments``; ``name`` and ``selector`` are empty for mutants."""

    kind: str
    system: str
    device: str
    arguments: tuple[str, ...]
    name: str = ""
    name_alone: str = ""
    """Its name when it is selected alone; empty where that is ``name``."""
    selector: str = ""

    @property
    def title(self) -> str:
        what = self.name or f"{self.kind} of {self.system}"
        return f"{what} on {self.device}" if self.kind != MUTANTS else what


def plan_shards(plan: Plan, implementations: Iterable[Mapping[str, Any]]) -> list[Shard]:
    """The shards of a run, the longest kinds first."""
    common = [f"--dtype={dtype}" for dtype in plan.dtypes]
    common += ["--quick"] * plan.quick + ["--thorough"] * plan.thorough
    shards = []
    # As in one process: mutants test the suite, which somebody who brings one implementation did not ask for.
    if not plan.benchmark and not plan.quick and all(spec == "built-in" for spec in plan.specs):
        for system in SYSTEMS:
            own = [mutant for mutant in mutants_of(system.name) if plan.thorough or not mutant.thorough]
            nodes = [f"conformance/{m.system}/test_{m.system}.py::test_mutant[{m.name}]" for m in own]
            if nodes:
                shards.append(Shard(MUTANTS, system.name, "cpu", (*nodes, "--impl=built-in", *common)))
    for row in implementations:
        system = row["system"]
        for device in plan.devices:
            arguments = [f"--impl={row['selector']}", f"--device={device}", *common]
            if plan.benchmark:
                arguments = [f"conformance/{system}/bench_{system}.py", "--benchmark-only", *arguments]
            else:
                # One worker, so that a crash of the implementation is one verdict and not the end of the shard.
                arguments = [f"conformance/{system}/test_{system}.py", "-n1", *arguments]
            kind = MEASURE if plan.benchmark else JUDGE
            shards.append(
                Shard(kind, system, device, tuple(arguments), row["name"], row.get("name_alone") or "", row["selector"])
            )
    return shards


def unfit(shard: Shard, plan: Plan, run: Run) -> str:
    """Why a run is not that of a shard: what a node sends may be another's, or belong to an earlier run; "" where it is."""
    asked = run.header.options
    if shard.kind != MUTANTS:
        found = asked.quick, bool(asked.thorough), asked.device, asked.dtype, asked.benchmark, asked.keyword or "", asked.level
        wanted = plan.quick, plan.thorough, (shard.device,), plan.dtypes, shard.kind == MEASURE, "", ()
        if found != wanted:
            return "its records are those of a run that was asked for something else"
    for record in run.records:
        if isinstance(record, (VerdictRecord, MeasurementRecord)):
            beside = isinstance(record, MeasurementRecord) and record.again
            if record.system != shard.system or (shard.kind == MUTANTS) or record.device != shard.device:
                return f"its records hold {record.implementation} on {record.device}"
            if record.implementation not in (shard.name, shard.name_alone) and not beside:
                return f"its records hold {record.implementation}"
    return ""


def records_without(shard: Shard, plan: Plan, verdict: str, message: str) -> Iterator[Record]:
    """A record for every test case or measurement of a shard that did not end."""
    if shard.kind == MUTANTS:
        return
    stub = Implementation(
        name=shard.name,
        system=shard.system,
        target="",
        protocol="",
        summary="",
        spec=shard.selector,
        name_alone=shard.name_alone,
    )
    options = Options((shard.device,), plan.dtypes, plan.quick, plan.thorough)
    if shard.kind == JUDGE:
        for test_case in list_test_cases(shard.system, [stub], options):
            yield unjudged(test_case, Verdict(verdict), message)
        return
    for case in benchmark_cases(shard.system, [stub], options):
        if case.implementation.name == shard.name:
            yield from records_without_speed(case, verdict=verdict, message=message)
