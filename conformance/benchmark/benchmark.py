"""How fast, beside the baseline, in the same run, and only where the answer was right.

`measurements` lists what a run measures, `measure` takes one: with a warm and with a cold cache, which are two lines of the
record. The samples are ours; `replay` hands them to pytest-benchmark, which carries the table, the JSON file and the
comparison of runs. Every rule stands in docs/measuring.md.
"""

from __future__ import annotations

import importlib
import math
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.benchmark import allocator
from conformance.benchmark.cache import CONDITIONS
from conformance.benchmark.measurement import Take, WrongAnswer
from conformance.benchmark.workload import Workload
from conformance.engine.check import last_line
from conformance.engine.discovery import select
from conformance.engine.isolation import process_state_of
from conformance.engine.selection import Options
from conformance.records.schema import MeasurementRecord
from impls.implementation import Implementation, NotRun, Unsupported, in_one_line

UNTIL = "GAUGEBLOCK_UNTIL"
"""The environment variable with the time, in seconds since 1970, after which nothing more is begun to be measured."""


@dataclass(frozen=True)
class Measurement:
    """One implementation on one workload and device."""

    implementation: Implementation
    baseline: Implementation | None
    workload: Workload
    device: str
    quick: bool

    @property
    def id(self) -> str:
        """Unique within the system's benchmark."""
        return f"{self.workload.id}-{self.device}-{self.implementation.name}"


@dataclass
class Outcome:
    """The record lines of a measurement, one for each state of the cache, and the samples behind the cold one."""

    lines: list[MeasurementRecord]
    samples: list[float] = field(default_factory=list)
    """Seconds per call."""

    @property
    def line(self) -> MeasurementRecord:
        """The line that decides what pytest says: the first that holds no speed, or else the last."""
        return next((line for line in self.lines if line.verdict != "measured"), self.lines[-1])


def measurements(system: str, implementations: Sequence[Implementation], options: Options) -> Iterator[Measurement]:
    """Every measurement of a run, workload by workload; the baseline first, since it is the A/A pair that shows the noise."""
    room = importlib.import_module(f"conformance.{system}.workloads")
    own = [implementation for implementation in implementations if implementation.system == system]
    if not own:
        return
    (baseline,) = select([room.BASELINE]).implementations
    ordered = sorted(own, key=lambda implementation: implementation.name != baseline.name)
    if ordered[0].name != baseline.name:
        ordered.insert(0, baseline)
    for device in options.devices:
        for workload in room.WORKLOADS:
            if device not in workload.devices or (options.quick and not workload.quick):
                continue
            if options.dtypes and workload.dtype and workload.dtype not in options.dtypes:
                continue
            for implementation in ordered:
                yield Measurement(implementation, baseline, workload, device, options.quick)


def record_of(measurement: Measurement, **found: Any) -> MeasurementRecord:
    """The record of a measurement: what is known before anything is timed, and the fields that were ``found``."""
    workload, baseline = measurement.workload, measurement.baseline
    known: dict[str, Any] = {
        "system": workload.system,
        "implementation": measurement.implementation.name,
        "workload": workload.id,
        "description": workload.description,
        "family": workload.family,
        "scale": workload.scale,
        "scale_name": workload.scale_name,
        "dtype": workload.dtype,
        "device": measurement.device,
        "amount": workload.amount,
        "unit": workload.unit,
        "quick": measurement.quick,
        "baseline": baseline.name if baseline else "",
        "bytes_moved": workload.bytes_moved,
        "flops": workload.flops,
        "verdict": "error",
        "again": baseline is not None and measurement.implementation.name == baseline.name,
    }
    return MeasurementRecord(**{**known, **found})


def unmeasured(measurement: Measurement, **fields: Any) -> list[MeasurementRecord]:
    """The records of what has no speed, one for each state of the cache; ``fields`` say why."""
    return [record_of(measurement, **fields, cache=cache) for cache in CONDITIONS]


def measure(measurement: Measurement) -> Outcome:
    """Prepare, verify, sample beside the baseline, verify again; a failure becomes lines that say why there is no speed."""
    workload, implementation = measurement.workload, measurement.implementation

    def both(**fields: Any) -> Outcome:
        return Outcome(unmeasured(measurement, **fields))

    try:
        if time.time() > float(os.environ.get(UNTIL) or math.inf):
            raise NotRun("the time that the run was given is spent; run it again with more, or for fewer implementations")
        allocator.keep_memory()
        with process_state_of(implementation.selector):
            found, samples = Take(
                implementation, measurement.baseline, workload, measurement.device, measurement.quick
            ).figures()
    except WrongAnswer as wrong:
        return both(**wrong.fields)
    except Unsupported as reason:
        return both(verdict="unsupported", message=in_one_line(str(reason)))
    except NotRun as reason:
        return both(verdict="not run", message=in_one_line(str(reason)))
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return both(verdict="error", message=last_line(error))
    return Outcome([record_of(measurement, **fields) for fields in found], samples)


class _Replay:
    """A clock that shows the samples already taken, so that pytest-benchmark tabulates ours instead of taking its own."""

    def __init__(self) -> None:
        self.now = 0.0
        self._left: list[float] = []

    def load(self, samples: Sequence[float]) -> None:
        self._left = list(reversed(samples))

    def advance(self) -> None:
        if self._left:
            self.now += self._left.pop()


_REPLAY = _Replay()


def replay_timer() -> float:
    """The ``timer=`` of the benchmark marker."""
    return _REPLAY.now


def replay(benchmark: Any, outcome: Outcome) -> None:
    """Hand the samples of an outcome to pytest-benchmark's fixture: those with a cold cache, the warm ones in a summary."""
    if not outcome.samples:
        return
    benchmark.group = f"{outcome.line.system}: {outcome.line.workload} on {outcome.line.device}"
    keys = ("median_s", "ratio", "ratio_low", "ratio_high", "decision", "margin")
    benchmark.extra_info.update({line.cache: {key: getattr(line, key) for key in keys} for line in outcome.lines})
    _REPLAY.load(outcome.samples)
    benchmark.pedantic(_REPLAY.advance, rounds=len(outcome.samples), iterations=1, warmup_rounds=0)
