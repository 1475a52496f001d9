"""Measure how fast implementations are beside the baseline, in the same run, and only where the answer is right.

`benchmark_cases` lists what a run measures and `measure` measures one case, with a warm and with a cold cache: two records. We
take the samples ourselves; `replay` hands them to pytest-benchmark, which shows the table, writes the JSON file and compares
runs. docs/measuring.md has every rule.
"""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.benchmark import allocator, workload_file
from conformance.benchmark.cache import CONDITIONS
from conformance.benchmark.measurement import BenchmarkRun, WrongAnswer, beside_another
from conformance.benchmark.timer import DeviceLost
from conformance.benchmark.workload import BenchmarkCase, Workload
from conformance.engine.discovery import select
from conformance.engine.isolation import process_state_of
from conformance.engine.outcome import outcome_of
from conformance.engine.runner import declared_obstacle
from conformance.engine.selection import Options
from conformance.records.schema import MeasurementRecord
from impls.implementation import Implementation, NotRun, Unsupported

UNTIL = "GAUGEBLOCK_UNTIL"
"""The environment variable with the time, in seconds since 1970, after which no measurement is started."""


@dataclass
class Measurement:
    """The result of one benchmark case: a record for each state of the cache, and the samples with a cold one."""

    records: list[MeasurementRecord]
    samples: list[float] = field(default_factory=list)
    """Seconds per call."""

    @property
    def deciding(self) -> MeasurementRecord:
        """The record that decides what pytest says: the first without a speed, else the last."""
        return next((record for record in self.records if record.verdict != "measured"), self.records[-1])


def benchmark_cases(system: str, implementations: Sequence[Implementation], options: Options) -> Iterator[BenchmarkCase]:
    """Every case of a run, workload by workload; the baseline first, since its A/A pair shows the noise.

    ``--quick`` takes the quick workloads, ``--thorough`` all, and neither those that represent the system. A baseline that was
    not asked for is measured only where something else can be.
    """
    module = importlib.import_module(f"conformance.{system}.workloads")
    own = [implementation for implementation in implementations if implementation.system == system]
    if not own:
        return
    (baseline,) = select([module.BASELINE]).implementations
    asked = any(implementation.name == baseline.name for implementation in own)
    ordered = sorted(own, key=lambda implementation: implementation.name != baseline.name)
    for device in options.devices:
        for workload in workloads_of(system, options):
            if device not in workload.devices or not _belongs(workload, options):
                continue
            cases = [BenchmarkCase(implementation, baseline, workload, device, options.quick) for implementation in ordered]
            if not asked and any(hindrance(case) is None for case in cases):
                yield BenchmarkCase(baseline, baseline, workload, device, options.quick)
            yield from cases


def baselines_of(implementations: Sequence[Implementation]) -> Iterator[Implementation]:
    """The baselines that these are timed beside: each once to be measured, and once beside others."""
    for system in dict.fromkeys(each.system for each in implementations):
        module = importlib.import_module(f"conformance.{system}.workloads")
        for baseline in select([module.BASELINE]).implementations:
            yield baseline
            yield beside_another(baseline)


def workloads_of(system: str, options: Options) -> Sequence[Workload]:
    """What a run measures of a system: what is listed, or what the file of `Options.workloads` has."""
    if options.workloads:
        return [workload for workload in workload_file.read(options.workloads) if workload.system == system]
    listed: Sequence[Workload] = importlib.import_module(f"conformance.{system}.workloads").WORKLOADS
    return listed


def _belongs(workload: Workload, options: Options) -> bool:
    """Whether a workload belongs to a run with these options."""
    if options.dtypes and workload.dtype and workload.dtype not in options.dtypes:
        return False
    return bool(options.workloads) or (workload.quick if options.quick else options.thorough or workload.representative)


def hindrance(case: BenchmarkCase) -> Exception | None:
    """Why a case cannot be measured, as NotRun or Unsupported, as far as that is known without importing anything."""
    implementation, workload = case.implementation, case.workload
    # quick=False: a compiler's first call is no reason to leave out what is fast after it; it is timed separately.
    declared = declared_obstacle(implementation, case.device, workload.dtype, workload.needs, quick=False)
    if declared is None:
        module = importlib.import_module(f"conformance.{workload.system}.workloads")
        reason = module.unsuited(implementation, workload, case.device) if hasattr(module, "unsuited") else ""
        declared = Unsupported(reason) if reason else None
    return declared


def records_without_speed(case: BenchmarkCase, **fields: Any) -> list[MeasurementRecord]:
    """A record for each state of the cache; the fields say why there is no speed."""
    return [case.record(**fields, cache=cache) for cache in CONDITIONS]


def measure(case: BenchmarkCase) -> Measurement:
    """Prepare, verify, sample beside the baseline, verify again; a failure gives records that say why there is no speed."""

    def no_speed(verdict: str, message: str, **fields: Any) -> Measurement:
        return Measurement(records_without_speed(case, verdict=verdict, message=message, **fields))

    try:
        if time.time() > float(os.environ.get(UNTIL) or math.inf):
            raise NotRun("the time that the run was given is spent; run it again with more, or for fewer implementations")
        if (hindered := hindrance(case)) is not None:
            raise hindered
        if _LOST and case.device == "cuda":
            raise NotRun(f"the device is lost to this process ({_LOST[0]}); run it again, which is a fresh one")
        allocator.keep_memory()
        with process_state_of(case.implementation.selector):
            return Measurement(*BenchmarkRun(case).measure())
    except DeviceLost as lost:
        _LOST.append(str(lost))
        return no_speed("error", str(lost))
    except WrongAnswer as wrong:
        return no_speed("wrong answer", str(wrong), margin=wrong.margin)
    except BaseException as error:
        verdict, message = outcome_of(error)
        return no_speed(verdict.value, message)


_LOST: list[str] = []
"""Why the device computes nothing right in this process any more; empty while it does."""


class _ReplayClock:
    """A clock that shows samples already taken, so that pytest-benchmark tabulates ours and takes none of its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._left: list[float] = []

    def load(self, samples: Sequence[float]) -> None:
        self._left = list(reversed(samples))

    def advance(self) -> None:
        if self._left:
            self.now += self._left.pop()


_REPLAY = _ReplayClock()


def replay_timer() -> float:
    """The ``timer=`` of the benchmark marker."""
    return _REPLAY.now


def replay(benchmark: Any, measurement: Measurement) -> None:
    """Hand the samples to pytest-benchmark's fixture: those with a cold cache; a summary holds both states."""
    if not measurement.samples:
        return
    deciding = measurement.deciding
    benchmark.group = f"{deciding.system}: {deciding.workload} on {deciding.device}"
    keys = ("median_s", "ratio", "ratio_low", "ratio_high", "decision", "margin")
    benchmark.extra_info.update({each.cache: {key: getattr(each, key) for key in keys} for each in measurement.records})
    _REPLAY.load(measurement.samples)
    benchmark.pedantic(_REPLAY.advance, rounds=len(measurement.samples), iterations=1, warmup_rounds=0)
