"""How fast, beside the baseline, in the same run, and only where the answer was right.

`measurements` lists what a run measures, `measure` takes one. The samples are ours; `replay` hands them to pytest-benchmark,
which carries the table, the JSON file and the comparison of runs.
"""

from __future__ import annotations

import gc
import importlib
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.check import last_line, worst_of
from conformance.judging import obstacle
from conformance.measuring import roofline, statistics
from conformance.measuring.clock import clock_for
from conformance.measuring.sampling import Plan, paired_samples, plan_for
from conformance.situations import Options
from conformance.workload import Prepared, Workload
from impls.contract import Implementation, NotRun, Unsupported, in_one_line
from impls.discovery import select
from impls.surroundings import surroundings_of

QUICK_BUDGET_S = 1.0
FULL_BUDGET_S = 6.0
"""Seconds of sampling for one implementation on one workload, its baseline's samples included."""


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
    """A record line in the making, and the samples behind it (seconds per call)."""

    line: dict[str, Any]
    samples: list[float] = field(default_factory=list)


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


def measure(measurement: Measurement) -> Outcome:
    """Prepare, verify, sample beside the baseline, verify again; a failure becomes a line that says why there is no speed."""
    workload, implementation = measurement.workload, measurement.implementation
    line: dict[str, Any] = {
        "record": "measurement",
        "system": workload.system,
        "implementation": implementation.name,
        "workload": workload.id,
        "description": workload.description,
        "dtype": workload.dtype,
        "device": measurement.device,
        "amount": workload.amount,
        "unit": workload.unit,
        "quick": measurement.quick,
        "baseline": measurement.baseline.name if measurement.baseline else None,
        "bytes_moved": workload.bytes_moved,
        "flops": workload.flops,
        "verdict": "error",
        "message": "",
        "decision": "",
        "aa": measurement.baseline is not None and implementation.name == measurement.baseline.name,
    }
    try:
        with surroundings_of(implementation.selector):
            _measure(measurement, outcome := Outcome(line))
    except Unsupported as reason:
        return Outcome({**line, "verdict": "unsupported", "message": in_one_line(str(reason))})
    except NotRun as reason:
        return Outcome({**line, "verdict": "not run", "message": in_one_line(str(reason))})
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        return Outcome({**line, "verdict": "error", "message": last_line(error)})
    return outcome


def _measure(measurement: Measurement, outcome: Outcome) -> None:
    line, workload, device = outcome.line, measurement.workload, measurement.device
    # quick=False: a compiler's first call is no reason to leave out what is fast after it; it is timed apart.
    hindrance = obstacle(measurement.implementation, device, workload.dtype, workload.needs, quick=False)
    if hindrance is not None:
        raise hindrance
    room = importlib.import_module(f"conformance.{workload.system}.workloads")
    started = time.perf_counter()
    own: Prepared = room.prepare(measurement.implementation, workload, device)
    margin = _verified(own, line)
    if measurement.implementation.slow_start:
        line["first_call_s"] = _rounded(time.perf_counter() - started)
    if margin is None:
        return
    other = _prepare_baseline(measurement, room)
    clock = clock_for(device)
    budget = QUICK_BUDGET_S if measurement.quick else FULL_BUDGET_S
    plan: Plan = plan_for(own.run, other.run if other else None, clock, budget)
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        own_samples, baseline_samples = paired_samples(own.run, other.run if other else None, clock, plan)
    finally:
        if collecting:
            gc.enable()
    # Once more, now that caches are warm and buffers have been used: a speed stands only beside a right answer.
    margin_after = _verified(own, line)
    if margin_after is None:
        return
    median, low, high = statistics.median_interval(own_samples)
    line.update(
        verdict="measured",
        margin="inf" if math.isinf(max(margin, margin_after)) else _rounded(max(margin, margin_after)),
        samples=len(own_samples),
        calls_per_sample=plan.calls,
        median_s=_rounded(median),
        low_s=_rounded(low),
        high_s=_rounded(high),
        per_second=_rounded(workload.amount / median),
    )
    if other is not None:
        ratio, ratio_low, ratio_high = statistics.ratio_interval(baseline_samples, own_samples)
        line.update(
            ratio=_rounded(ratio),
            ratio_low=_rounded(ratio_low),
            ratio_high=_rounded(ratio_high),
            decision="baseline" if line["aa"] else statistics.decide(ratio_low, ratio_high),
        )
    line.update(roofline.share(workload, median, device))
    outcome.samples = own_samples


def _prepare_baseline(measurement: Measurement, room: Any) -> Prepared | None:
    """The baseline made ready a second time, even for itself (the A/A pair); None where it cannot run here."""
    baseline = measurement.baseline
    workload = measurement.workload
    if baseline is None or obstacle(baseline, measurement.device, workload.dtype, workload.needs, quick=False):
        return None
    prepared: Prepared = room.prepare(baseline, workload, measurement.device)
    return prepared


def _verified(prepared: Prepared, line: dict[str, Any]) -> float | None:
    """The worst margin where the answer is right; None, with the reason in the line, where it is not."""
    comparisons = list(prepared.verify())
    if not comparisons:
        raise AssertionError("the workload's verification compared nothing")
    worst = worst_of(comparisons)
    if worst.passed:
        return worst.margin
    line.update(
        verdict="wrong answer",
        margin="inf" if not math.isfinite(worst.margin) else _rounded(worst.margin),
        message=f"{worst.quantity} {worst.worst}: got {worst.got}, expected {worst.expected} within {worst.bound}".strip(),
    )
    return None


def _rounded(value: float) -> float:
    """Six significant digits: more would only be noise in the record file."""
    return float(f"{value:.6g}")


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
    """Hand the samples of an outcome to pytest-benchmark's fixture."""
    if not outcome.samples:
        return
    benchmark.group = f"{outcome.line['system']}: {outcome.line['workload']} on {outcome.line['device']}"
    benchmark.extra_info.update(
        {key: outcome.line.get(key) for key in ("ratio", "ratio_low", "ratio_high", "decision", "margin")}
    )
    _REPLAY.load(outcome.samples)
    benchmark.pedantic(_REPLAY.advance, rounds=len(outcome.samples), iterations=1, warmup_rounds=0)
