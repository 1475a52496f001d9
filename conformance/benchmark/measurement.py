"""One measurement being taken, step by step: prepare, verify, sample with a warm and a cold cache, verify again."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from conformance.benchmark import allocator, interference, memory, roofline, statistics
from conformance.benchmark.affinity import Pins, pinned
from conformance.benchmark.cache import CONDITIONS, cache_of
from conformance.benchmark.sampler import Buffers, Plan, Samples, calls_for, plan_for, sample, taker
from conformance.benchmark.telemetry import DeviceWatch, HostWatch, Told, open_reader
from conformance.benchmark.timer import GRAPH_BELOW_S, DeviceClock, HostClock, clock_for, nothing
from conformance.benchmark.workload import Prepared, Workload
from conformance.engine.check import worst_of
from conformance.engine.runner import assure_wrong_fails, obstacle
from impls.implementation import Implementation

QUICK_BUDGET_S = 0.7
FULL_BUDGET_S = 3.0
"""Seconds of sampling for one implementation on one workload and state of the cache, its baseline's samples included."""
SETS = 4
"""Both sides are sampled on so many sets of buffers in turn, since where memory happens to lie is worth a few per cent."""
SETS_SHARE = 0.2
"""Of the budget: no more sets are made once making them has taken so long."""
SETS_BYTES = {"cpu": 2**30, "cuda": 2**34}
"""Nor than hold so many bytes in all, as far as the workload says what it moves."""
COMPILER_S = 0.5
"""A first call that takes so much longer than a later one met a compiler, whether or not the implementation declares one."""


class WrongAnswer(Exception):
    """The work was done, and not right; ``fields`` say how far off."""

    def __init__(self, fields: dict[str, Any]) -> None:
        super().__init__(fields["message"])
        self.fields = fields


class Take:
    """Everything that one measurement needs while it is taken."""

    def __init__(
        self, implementation: Implementation, baseline: Implementation | None, workload: Workload, device: str, quick: bool
    ) -> None:
        self.implementation, self.baseline, self.workload, self.device = implementation, baseline, workload, device
        self.again = baseline is not None and implementation.name == baseline.name
        self.budget = QUICK_BUDGET_S if quick else FULL_BUDGET_S
        self.room = importlib.import_module(f"conformance.{workload.system}.workloads")

    def figures(self) -> tuple[list[dict[str, Any]], list[float]]:
        """The record fields of each state of the cache, and the last one's samples.

        Raises Unsupported and NotRun where the implementation cannot be timed, WrongAnswer where it must not be.
        """
        workload, device = self.workload, self.device
        # quick=False: a compiler's first call is no reason to leave out what is fast after it; it is timed apart.
        hindrance = obstacle(self.implementation, device, workload.dtype, workload.needs, quick=False)
        if hindrance is not None:
            raise hindrance
        own: Prepared = self.room.prepare(self.implementation, workload, device)
        other = self._prepare_baseline()
        self.clock = clock_for(device, synchronous=own.synchronous or bool(other and other.synchronous))
        first = self._called(own.run)
        margin = _verified(own)
        later = self._called(own.run)
        if other is not None:
            other.run()
        compiles = bool(self.implementation.slow_start)
        shared: dict[str, Any] = {
            "inputs": own.inputs,
            "compile_s": rounded(max(0.0, first - later)) if compiles or first - later > COMPILER_S else None,
            "allocator": allocator.keep_memory(),
            **memory.peak_bytes(own.run, device, elsewhere=own.synchronous),
        }
        mine, theirs = self._sets(own, other)
        with pinned() as pins, _no_collecting(pins.warnings):
            found = [self._condition(cache, mine, theirs, pins) for cache in CONDITIONS]
            # Once more, now that caches are warm and buffers have been used: a speed stands only beside a right answer. Before
            # anything is put back, so that nothing tells this call from one that is timed.
            margin = max(margin, *(_verified(prepared, timed=True) for prepared in mine), _verified(own))
            pins.warnings += self._interfered(own, other)
        shared["margin"] = rounded(margin)
        shared |= {"threads": pins.threads, "affinity": tuple(pins.affinity)}
        lines = []
        for cache, (fields, _) in zip(CONDITIONS, found, strict=True):
            warnings = (*fields["warnings"], *pins.warnings)
            lines.append({**shared, **fields, "warnings": warnings, "cache": cache})
        return lines, found[-1][1].own

    def _prepare_baseline(self) -> Prepared | None:
        """The baseline made ready a second time, even for itself (the A/A pair); None where it cannot run here."""
        baseline = self.baseline
        if baseline is None or obstacle(baseline, self.device, self.workload.dtype, self.workload.needs, quick=False):
            return None
        prepared: Prepared = self.room.prepare(baseline, self.workload, self.device)
        return prepared

    def _called(self, run: Callable[[], Any]) -> float:
        """Seconds of one call by the host's clock, to the end of what it began."""
        clock = HostClock(self.clock.device.synchronize) if isinstance(self.clock, DeviceClock) else self.clock
        return clock.time(clock.ready(run, 1))

    def _sets(self, own: Prepared, other: Prepared | None) -> tuple[list[Prepared], list[Prepared]]:
        """Both sides on buffers of their own, as many sets of one as of the other."""
        sets = ([own], [other] if other else [])
        began = time.monotonic()
        room_for = SETS_BYTES[self.device] / max(self.workload.bytes_moved or 0.0, 1.0)
        while all(side[0].another for side in sets if side) and len(sets[0]) < min(SETS, room_for):
            for number, side in enumerate(sets):
                make = side[0].another if side else None
                if make is not None:
                    side.append(make(2 * len(side) + number))
                    side[-1].run()
            if time.monotonic() - began > SETS_SHARE * self.budget:
                break
        return sets

    def _interfered(self, own: Prepared, other: Prepared | None) -> list[str]:
        """Warnings of what the samples do not show: answers that are kept, and threads that go on."""
        if not isinstance(self.clock, HostClock) or self.device != "cpu":
            return []
        found = [interference.remembering(own, other, self._called), interference.going_on(self.implementation.name)]
        return [warning for warning in found if warning]

    def _condition(
        self, cache: str, own: Sequence[Prepared], other: Sequence[Prepared], pins: Pins
    ) -> tuple[dict[str, Any], Samples]:
        """The record fields of one state of the cache, and the samples."""
        host = HostWatch(pins.affinity)
        watch = DeviceWatch(_reader()) if self.device == "cuda" else None
        evict = cache_of(self.device).evict if cache == "cold" else None
        take = taker(self.clock, evict, host.mark)
        # Already in the pilot, so that the plan knows what looking costs.
        self.clock.glance = _in_turn(host.glance, *([watch.glance] if watch else []))
        launch, mine, theirs, quad_s = self._pilot(take, cache, own, other)
        plan = plan_for(mine[0].work.calls, theirs[0].work.calls if theirs else 1, quad_s, self.budget)
        host.begin()
        if watch is not None:
            watch.begin()
        try:
            samples = sample(mine, theirs, take, plan, self.budget, rest=self._rest)
        finally:
            self.clock.glance = nothing
        told = watch.end() if watch is not None else Told()
        calls = len(samples.own) * plan.calls + len(samples.baseline) * plan.baseline_calls
        around = host.end(calls)
        fields = self._figures(cache, samples, plan)
        fields["telemetry"] = {"host": around.facts, **({"device": told.facts} if watch is not None else {})}
        fields["warnings"] += [*told.warnings, *around.warnings]
        key = (self.workload.system, self.workload.id, self.device, cache)
        beside = fields.pop("beside_s", None)
        if beside is not None and not around.warnings:  # else the machine was somebody else's too, and no wonder
            fields["warnings"] += interference.slowed(beside, _ALONE[key])
        if self.device == "cpu":
            used = [interference.cpus_used([buffers.work for buffers in side]) for side in (mine, theirs)]
            fields["telemetry"]["host"]["cpus_used"] = {"own": used[0], "baseline": used[1]}
            fields["warnings"] += interference.more_cpus(used[0], pins.threads, len(pins.affinity))
        fields |= self._launching(launch, [b.work for b in (*mine, *theirs)], own[0], fields)
        fields["cache_bytes"] = cache_of(self.device).bytes
        if cache == "cold" and cache_of(self.device).assumed:
            fields["warnings"].append("the size of the last-level cache was assumed, for the system does not tell it")
        return fields, samples

    def _pilot(
        self, take: Callable[[Buffers, int], float], cache: str, own: Sequence[Prepared], other: Sequence[Prepared]
    ) -> tuple[str, list[Buffers], list[Buffers], float]:
        """How launches are kept off the clock; both sides ready to be sampled; and how long a quad takes with everything."""
        sides: list[list[Buffers]] = []
        for prepared in (own, other):
            one = [Buffers(self.clock.ready(p.run, 1), p.run, p.renew) for p in prepared[:1]]
            seconds = [min(take(b, -1 - i) for i in range(3)) for b in one]
            calls = calls_for(seconds[0]) if cache == "warm" and seconds else 1
            sides.append([Buffers(self.clock.ready(p.run, calls), p.run, p.renew) for p in prepared])
        reason = self._captured(take, sides) if isinstance(self.clock, DeviceClock) else ""
        began = time.monotonic()
        for side in sides:
            if side:
                self._rest()
                take(side[0], -10)
        # Both once; a quad holds each twice.
        return reason, sides[0], sides[1], 2 * (time.monotonic() - began)

    def _rest(self) -> None:
        """Let what the other side's threads were at come to its end; a device has no threads of ours."""
        if self.device == "cpu":
            interference.rest()

    def _captured(self, take: Callable[[Buffers, int], float], sides: list[list[Buffers]]) -> str:
        """Replace short or launch-bound work by graphs, on both sides or on neither; why not, where it was tried in vain."""
        assert isinstance(self.clock, DeviceClock)
        took = [(take(side[0], -5), side[0].work.hopeless) for side in sides if side]
        if not any(seconds < GRAPH_BELOW_S or hopeless for seconds, hopeless in took):
            return ""
        replaced: list[list[Buffers]] = []
        for side, name in zip(sides, ("it", "the baseline"), strict=True):
            replaced.append([])
            for buffers in side:
                known = None if buffers.work.hopeless else take(buffers, -6)
                work = self.clock.captured(buffers.once, buffers.work.calls, known)
                if isinstance(work, str):
                    return f"{name}: {work}"
                # The untimed call before a warm sample is a replay too: its launches would fill the queue.
                replaced[-1].append(Buffers(work, work.launch, buffers.renew))
        sides[:] = replaced
        return ""

    def _launching(self, reason: str, works: list[Any], own: Prepared, fields: dict[str, Any]) -> dict[str, Any]:
        """The record fields that say where launches went; empty on the host, which has none."""
        if not isinstance(self.clock, DeviceClock):
            return {"clock": self.clock.name}
        exposed, timed = sum(work.exposed for work in works), sum(work.timed for work in works)
        if exposed:
            fields["warnings"].append(
                f"{exposed} of {timed} samples hold the time of launches, which could not be queued ahead"
                + (f"; {reason}" if reason else "")
            )
        method = "graph" if works[0].method == "graph" else "queued ahead"
        return {
            "clock": self.clock.name,
            "launch": {"method": method, "exposed_samples": exposed, "graph": reason or None},
            "launch_s": rounded(self.clock.launching_seconds(own.run)),
        }

    def _figures(self, cache: str, samples: Samples, plan: Plan) -> dict[str, Any]:
        """Median, interval, ratio, decision and place under the roofline."""
        median, low, high = statistics.median_interval(samples.own, plan.confidence)
        first_quartile, third_quartile = np.quantile(samples.own, (0.25, 0.75))
        fields: dict[str, Any] = {
            "verdict": "measured",
            "samples": len(samples.own),
            "looks": samples.looks,
            "planned_looks": len(plan.looks),
            "stopped": samples.stopped,
            "calls_per_sample": plan.calls,
            "median_s": rounded(median),
            "low_s": rounded(low),
            "high_s": rounded(high),
            "iqr_s": rounded(third_quartile - first_quartile),
            "per_second": rounded(self.workload.amount / median),
            "warnings": [],
        }
        if samples.baseline:
            fields |= self._beside_baseline(cache, samples, plan)
        found = roofline.place(self.workload, median, high, self.device, cache)
        fields |= found.fields
        if found.warning:
            fields["warnings"].append(found.warning)
        if found.fault:
            # What cannot be is no speed: the samples stay out of the record, the claim and the limit are in the message.
            kept = {key: fields[key] for key in ("samples", "looks", "stopped", "warnings", "roofline")}
            return {**kept, "verdict": "measuring fault", "message": found.fault, "decision": "", "reason": ""}
        return fields

    def _beside_baseline(self, cache: str, samples: Samples, plan: Plan) -> dict[str, Any]:
        ratio, low, high = statistics.ratio_interval(samples.baseline, samples.own, plan.confidence)
        key = (self.workload.system, self.workload.id, self.device, cache)
        fields: dict[str, Any] = {"ratio": rounded(ratio), "ratio_low": rounded(low), "ratio_high": rounded(high)}
        noise = _NOISE.get(key, 1.0)
        if self.again:
            _NOISE[key] = noise = statistics.noise_of(low, high) if plan.enough else 1.0
            _ALONE[key] = statistics.median_interval(samples.baseline, plan.confidence)[0]
            found = statistics.Decision("baseline", "the baseline beside a copy of itself shows the noise of this clock")
        elif not plan.enough:
            found = statistics.Decision(
                "undecided",
                f"there was time for {len(samples.own) // 2} quads of samples only, and it takes "
                f"{statistics.fewest_quads(plan.confidence)} to say anything with {statistics.CONFIDENCE:.0%} confidence",
            )
        else:
            found = statistics.decision(low, high, noise)
        if self.again and statistics.decide(low, high) in ("faster", "slower"):
            fields["warnings"] = [f"the baseline differs from itself by {noise - 1:.1%} or more here: this place is noisy"]
        if not self.again and key in _ALONE:
            fields["beside_s"] = beside = statistics.median_interval(samples.baseline, plan.confidence)[0]
            own = statistics.median_interval(samples.own, plan.confidence)[0]
            reason = interference.undermined(found.word, own, beside, _ALONE[key])
            if reason:
                found = statistics.Decision("undecided", reason)
        return {**fields, "noise": rounded(noise), "decision": found.word, "reason": found.reason}


_NOISE: dict[tuple[str, ...], float] = {}
"""By system, workload, device and cache: by how much the A/A pair of this process differed from 1, with certainty."""

_ALONE: dict[tuple[str, ...], float] = {}
"""And the seconds that the baseline took there, beside nothing but itself."""


@functools.lru_cache(maxsize=1)
def _reader() -> Any:
    return open_reader()


def _in_turn(*looks: Callable[[], None]) -> Callable[[], None]:
    def look() -> None:
        for each in looks:
            each()

    return look


@contextlib.contextmanager
def _no_collecting(warnings: list[str]) -> Iterator[None]:
    """Keep the garbage collector out, and what lives already out of its sight; warn where it was let in meanwhile."""
    collecting, frozen = gc.isenabled(), gc.get_freeze_count()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
        if gc.isenabled():
            warnings.append("garbage collection was switched on while it was timed, and fell on both sides")
    finally:
        if not frozen:
            gc.unfreeze()
        if collecting:
            gc.enable()


def _verified(prepared: Prepared, *, timed: bool = False) -> float:
    """The worst margin where the answer is right, of a call made for it or of what timed calls left; or WrongAnswer."""
    if timed and prepared.verify_timed is None:
        return 0.0
    comparisons = list(prepared.verify_timed() if timed and prepared.verify_timed else prepared.verify())
    if not comparisons:
        raise AssertionError("the workload's verification compared nothing")
    assure_wrong_fails()
    worst = worst_of(comparisons)
    if worst.passed:
        return worst.margin
    raise WrongAnswer(
        {
            "verdict": "wrong answer",
            "margin": rounded(worst.margin) if math.isfinite(worst.margin) else math.inf,
            "message": f"{worst.quantity} {worst.worst}: got {worst.got}, expected {worst.expected} within {worst.bound}",
        }
    )


def rounded(value: float) -> float:
    """Six significant digits: more would only be noise in the record file."""
    return float(f"{value:.6g}")
