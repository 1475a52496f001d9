"""Measure one benchmark case: prepare, verify, sample with a warm and a cold cache, verify again."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.benchmark import affinity, allocator, apart, baseline_alone, interference, memory, roofline, statistics
from conformance.benchmark.affinity import Pins, pinned
from conformance.benchmark.cache import CONDITIONS, cache_of
from conformance.benchmark.on_device import OUTSIDE_S, ElsewhereClock, contradicted
from conformance.benchmark.pace import FULL_BUDGET_S, QUICK_BUDGET_S
from conformance.benchmark.sampler import SHORTEST_SAMPLE_S, Buffers, Samples, SamplingPlan, calls_for, plan_for, sample, taker
from conformance.benchmark.telemetry import DeviceMonitor, HostMonitor, open_reader
from conformance.benchmark.timer import GRAPH_BELOW_S, SUSTAINED_S, Clock, DeviceClock, HostClock, Work, clock_for, nothing
from conformance.benchmark.workload import BenchmarkCase, Prepared
from conformance.engine.check import worst_of
from conformance.engine.harness import CONNECTED_ELSEWHERE
from conformance.engine.runner import assure_wrong_fails, obstacle
from conformance.records.schema import MeasurementRecord
from impls.implementation import Implementation

SETS = 4
"""Both sides are sampled on this many sets of buffers in turn: the place in memory alone changes times by a few per cent."""
SETS_SHARE = 0.2
"""No more sets are made once making them has taken this share of the budget."""
SETS_BYTES = {"cpu": 2**30, "cuda": 2**34}
"""All sets together hold no more bytes than this, as far as the workload says what it moves."""
COMPILER_S = 0.5
"""A first call that takes so much longer than a later one has met a compiler, whether or not the implementation says so."""


class WrongAnswer(Exception):
    """The work was done, but the result is wrong."""

    def __init__(self, message: str, margin: float) -> None:
        super().__init__(message)
        self.margin = margin


def workloads_of(system: str) -> Any:
    """The module of a system's workloads."""
    return importlib.import_module(f"conformance.{system}.workloads")


class BenchmarkRun:
    """One benchmark case while it is measured."""

    def __init__(self, case: BenchmarkCase) -> None:
        self.case, self.workload, self.device = case, case.workload, case.device
        self.budget = case.budget_s or (QUICK_BUDGET_S if case.quick else FULL_BUDGET_S)
        self.workloads = workloads_of(self.workload.system)

    def measure(self) -> tuple[list[MeasurementRecord], list[float]]:
        """Return a record for each state of the cache, and the last one's samples in seconds per call.

        Raises Unsupported and NotRun where the implementation cannot be timed, WrongAnswer where it must not be.
        """
        implementation, device = self.case.implementation, self.device
        # quick=False: a compiler's first call is no reason to leave out what is fast after it; it is timed separately.
        hindrance = obstacle(implementation, device, self.workload.dtype, self.workload.needs, quick=False)
        if hindrance is not None:
            raise hindrance
        own: Prepared = self.workloads.prepare(implementation, self.workload, device)
        other = self._prepare_baseline()
        self.processes = [each.process for each in (own, other) if each is not None and each.process is not None]
        self.clock = self._clock(synchronous=own.synchronous or bool(other and other.synchronous))
        self.requested = bool(self.processes) and isinstance(self.clock, HostClock)
        """Whether samples are requests to other processes, by the clock of this one."""
        for process in self.processes:
            process.settle()
        first = self._seconds(own.run)
        margin = _verified(own)
        later = self._seconds(own.run)
        if other is not None:
            other.run()
        compiled = bool(implementation.slow_start) or first - later > COMPILER_S
        record = self.case.record(
            verdict="measured",
            inputs=own.inputs,
            compile_s=rounded(max(0.0, first - later)) if compiled else None,
            allocator=allocator.keep_memory(),
            clock=f"{self.clock.name}, around requests to processes of their own" if self.requested else self.clock.name,
            **self._peak_bytes(own),
        )
        sides = self._sets(own, other)
        with pinned() as pins, _no_collecting(pins.warnings):
            record = replace(record, threads=self._settled(pins).threads, affinity=pins.affinity)
            found = [self._measure(replace(record, cache=cache), *sides, pins) for cache in CONDITIONS]
            # Verify again while caches are warm, buffers are used and settings are still in force: nothing distinguishes this
            # call from a timed one.
            margin = max(margin, *(_verified(prepared, timed=True) for prepared in sides[0]), _verified(own))
            pins.warnings += self._interfered(own, other)
            pins.warnings += self._rescheduled(pins)
        return [replace(each, margin=rounded(margin), warnings=(*each.warnings, *pins.warnings)) for each, _ in found], found[
            -1
        ][1].own

    def _prepare_baseline(self) -> Prepared | None:
        """Prepare the baseline, once more where it is itself measured (A/A); None where it cannot run here."""
        baseline = beside(self.case.baseline)
        if baseline is None or obstacle(baseline, self.device, self.workload.dtype, self.workload.needs, quick=False):
            return None
        prepared: Prepared = self.workloads.prepare(baseline, self.workload, self.device)
        return prepared

    def _clock(self, *, synchronous: bool) -> Clock:
        if self.processes and self.device == "cuda" and not synchronous:
            return ElsewhereClock(self.processes)
        return clock_for(self.device, synchronous=synchronous, busy_s=SUSTAINED_S if self.case.sustained else 0.0)

    def _peak_bytes(self, own: Prepared) -> dict[str, Any]:
        if own.elsewhere is not None:
            return own.elsewhere.peak_bytes()
        return memory.peak_bytes(own.run, self.device, elsewhere=own.synchronous, process=own.process)

    def _seconds(self, run: Callable[[], Any]) -> float:
        """Time one call by the host's clock, to the end of the work that it started."""
        clock = HostClock(self.clock.device.synchronize) if isinstance(self.clock, DeviceClock) else self.clock
        return clock.time(clock.ready(run, 1))

    def _sets(self, own: Prepared, other: Prepared | None) -> tuple[list[Prepared], list[Prepared]]:
        """Prepare both sides on the same number of sets of buffers."""
        sides = ([own], [other] if other else [])
        started = time.monotonic()
        most = min(SETS, SETS_BYTES[self.device] / max(self.workload.bytes_moved or 0.0, 1.0))
        makers = [side[0].another for side in sides if side]
        while all(makers) and len(sides[0]) < most and time.monotonic() - started <= SETS_SHARE * self.budget:
            for number, (side, make) in enumerate(zip(sides, makers, strict=False)):
                assert make is not None
                side.append(make(2 * len(side) + number))
                side[-1].run()
        return sides

    def _interfered(self, own: Prepared, other: Prepared | None) -> list[str]:
        """Warn of what samples do not show: results that are kept, and threads that go on."""
        if not isinstance(self.clock, HostClock) or self.device != "cpu":
            return []
        found = [
            interference.kept_results(own, other, self._seconds),
            *self._threads_left(own),
        ]
        return [warning for warning in found if warning]

    def _threads_left(self, own: Prepared) -> list[str]:
        name = self.case.implementation.name
        if own.process is None:
            return [interference.threads_left(name)]
        return [interference.threads_left(name, used=own.process.cpu_s, processes=[own.process])]

    def _settled(self, pins: Pins) -> Pins:
        """The settings that are in force where the work is done."""
        return self.processes[0].settle() if self.processes else pins

    def _rescheduled(self, pins: Pins) -> list[str]:
        """Warn where a process of one side may no longer run on the CPUs that it was given, or as readily as the other's."""
        names = ("its", "the baseline's")
        return [
            warning
            for process, whose in zip(self.processes, names, strict=False)
            for warning in affinity.changes(process.pid, whose, pins.affinity)
        ]

    def _measure(
        self, record: MeasurementRecord, own: Sequence[Prepared], other: Sequence[Prepared], pins: Pins
    ) -> tuple[MeasurementRecord, Samples]:
        """Sample in the record's state of the cache; return the record with all that was found, and the samples."""
        host = HostMonitor(pins.affinity, processes=self.processes)
        monitors: list[HostMonitor | DeviceMonitor] = [host, *([DeviceMonitor(_reader())] if self.device == "cuda" else [])]
        self._outside: tuple[float, float] | None = None
        take = taker(self.clock, self._evict() if record.cache == "cold" else None, host.mark)
        # The pilot observes too, so that the plan includes its cost.
        self.clock.observe = lambda: [monitor.observe() for monitor in monitors]
        no_graph, mine, theirs, quad_s = self._pilot(take, record.cache, own, other)
        plan = plan_for(mine[0].work.calls, theirs[0].work.calls if theirs else 1, quad_s, self.budget)
        for monitor in monitors:
            monitor.start()
        timed, before = _timed_cpu_s(mine, theirs), [process.cpu_s() for process in self.processes]
        try:
            samples = sample(mine, theirs, take, plan, self.budget, time.monotonic, self._rest)
        finally:
            self.clock.observe = nothing
        calls = len(samples.own) * plan.calls + len(samples.baseline) * plan.baseline_calls
        seen = {monitor.name: monitor.stop(calls) for monitor in reversed(monitors)}
        idle = self._off_the_clock(timed, before, mine, theirs)
        self._outside = self._from_outside(own, other)
        record = self._with_speed(record, samples, plan)
        warnings = [*record.warnings, *(warning for observation in seen.values() for warning in observation.warnings)]
        if record.verdict == "measured" and not seen["host"].warnings:  # else the machine was used by others as well
            warnings += self._slowed_baseline(record.cache, samples)
        telemetry = {name: dict(seen[name].facts) for name in sorted(seen, reverse=True)}
        if self.device == "cpu":
            if self.requested:
                telemetry["host"]["exchange_s"] = rounded(mine[0].work.exchange_s)
            used = interference.cpus_used([buffers.work for buffers in mine])
            used_beside = interference.cpus_used([buffers.work for buffers in theirs])
            telemetry["host"]["cpus_used"] = {"own": used, "baseline": used_beside}
            warnings += interference.more_cpus(used, pins.threads, len(pins.affinity))
            warnings += idle
        launch, exposed = self._launches(no_graph, [buffers.work for buffers in (*mine, *theirs)])
        warnings += exposed
        if record.cache == "cold" and cache_of(self.device).assumed:
            warnings.append("the size of the last-level cache was assumed: the system does not tell it")
        if self._outside is not None:
            telemetry["host"]["from_outside_s"] = dict(zip(("own", "baseline"), map(rounded, self._outside), strict=True))
        launch_s = self._launching_seconds(own[0])
        record = replace(
            record, telemetry=telemetry, launch=launch, launch_s=launch_s, cache_bytes=cache_of(self.device).bytes
        )
        return replace(record, warnings=tuple(warnings)), samples

    def _evict(self) -> Callable[[], Any]:
        return self.clock.evict if isinstance(self.clock, ElsewhereClock) else cache_of(self.device).evict

    def _launching_seconds(self, own: Prepared) -> float | None:
        if not isinstance(self.clock, DeviceClock):
            return None
        return rounded(own.elsewhere.launching_seconds() if own.elsewhere else self.clock.launching_seconds(own.run))

    def _from_outside(self, own: Sequence[Prepared], other: Sequence[Prepared]) -> tuple[float, float] | None:
        """Seconds of a call of both sides by this process's clock, where their own processes timed them. Verified before too.

        Those calls write over the answers of the calls that were timed.
        """
        if not other or own[0].elsewhere is None or other[0].elsewhere is None:
            return None
        for prepared in own:
            _verified(prepared, timed=True)
        return own[0].elsewhere.from_outside(), other[0].elsewhere.from_outside()

    def _pilot(
        self, take: Callable[[Buffers, int], float], cache: str, own: Sequence[Prepared], other: Sequence[Prepared]
    ) -> tuple[str, list[Buffers], list[Buffers], float]:
        """Make both sides ready; also return why there is no graph, and the seconds of a quad, untimed work included."""
        sides: list[list[Buffers]] = []
        for prepared in (own, other):
            one = [self._buffers(p, 1) for p in prepared[:1]]
            self._set_exchange(one, other[:1], cache)
            calls = self._calls(take, cache, prepared[0], one[0]) if one else 1
            sides.append([self._buffers(p, calls) for p in prepared])
            self._set_exchange(sides[-1], other[:1], cache)
        no_graph = self._captured(take, sides) if isinstance(self.clock, DeviceClock) else ""
        started = time.monotonic()
        for side in sides:
            if side:
                self._rest()
                take(side[0], -10)
        # Both once; a quad holds each twice.
        return no_graph, sides[0], sides[1], 2 * (time.monotonic() - started)

    def _calls(self, take: Callable[[Buffers, int], float], cache: str, prepared: Prepared, one: Buffers) -> int:
        """How many calls make a sample that lasts long enough; one call, made a few times first, where the cache is cold.

        In another process a single call may take less than an exchange scatters, and seem to take no time at all. There
        the number grows tenfold at most, until a sample lasts long enough; where that process reads the clock itself, until it
        has taken long here, since a time that is none would ask for calls without end.
        """
        calls, shortest = 1, apart.SHORTEST_SAMPLE_S if self.requested else SHORTEST_SAMPLE_S
        while True:
            seconds = min(take(one, -1 - i) for i in range(3))
            wanted = 1 if cache == "cold" else calls_for(seconds / calls, shortest)
            elsewhere = one.work.elsewhere
            if elsewhere is not None and elsewhere.took_s >= OUTSIDE_S:
                return min(wanted, calls)
            if not (self.requested or elsewhere) or wanted <= calls or seconds >= shortest:
                return wanted
            calls, exchange_s = min(10 * calls, wanted), one.work.exchange_s
            one = self._buffers(prepared, calls)
            one.work.exchange_s = exchange_s

    def _buffers(self, prepared: Prepared, calls: int) -> Buffers:
        work = self.clock.ready(prepared.run, calls)
        work.request, work.elsewhere = prepared.request, prepared.elsewhere
        # What another process does before a sample, it does behind what the device spins.
        once = self.clock.once if isinstance(self.clock, ElsewhereClock) else prepared.run
        return Buffers(work, once, prepared.renew)

    def _set_exchange(self, side: Sequence[Buffers], other: Sequence[Prepared], cache: str) -> None:
        """Time what a request takes without its calls, in the baseline's process. Without one, nothing is subtracted."""
        if not side or not other or not self.requested or (exchange := other[0].exchange) is None:
            return
        seconds = []
        for _ in range(apart.EXCHANGES):
            request = exchange(side[0].work.calls)
            if cache == "cold":
                cache_of(self.device).evict()
            request.process.rouse()
            seconds.append(request.send())
        for buffers in side:
            buffers.work.exchange_s = float(np.median(seconds))

    def _off_the_clock(
        self, timed: tuple[float, float], used: Sequence[float], mine: Sequence[Buffers], theirs: Sequence[Buffers]
    ) -> list[str]:
        """Warn of an implementation that works while nothing is timed; see `interference.off_the_clock`."""
        if len(self.processes) < 2 or not self.requested:
            return []
        on = [now - before for now, before in zip(_timed_cpu_s(mine, theirs), timed, strict=True)]
        own, beside = (p.cpu_s() - before - s for p, before, s in zip(self.processes, used, on, strict=True))
        return interference.off_the_clock(own, on[0], beside)

    def _rest(self) -> None:
        """Wait until the other side's threads are idle; on a device there are none."""
        if self.device == "cpu":
            interference.rest(processes=self.processes)

    def _captured(self, take: Callable[[Buffers, int], float], sides: list[list[Buffers]]) -> str:
        """Replace short or launch-bound work by graphs, on both sides or on neither; return why not, where it failed."""
        assert isinstance(self.clock, DeviceClock)
        took = [(take(side[0], -5), side[0].work.hopeless) for side in sides if side]
        if not any(seconds < GRAPH_BELOW_S or hopeless for seconds, hopeless in took):
            return ""
        replaced: list[list[Buffers]] = []
        for side, name in zip(sides, ("it", "the baseline"), strict=True):
            replaced.append([])
            for buffers in side:
                known = None if buffers.work.hopeless else take(buffers, -6)
                work = self.clock.replaying(buffers.work, buffers.once, known)
                if isinstance(work, str):
                    return f"{name}: {work}"
                # The untimed call before a warm sample is a replay too: its launches would fill the queue.
                once = buffers.once if work.elsewhere is not None else work.launch
                replaced[-1].append(Buffers(work, once, buffers.renew))
        sides[:] = replaced
        return ""

    def _launches(self, no_graph: str, works: Sequence[Work]) -> tuple[dict[str, Any], list[str]]:
        """Where launches went, and a warning where they are in the samples; nothing on the host, which has none."""
        if not isinstance(self.clock, DeviceClock):
            return {}, []
        exposed, timed = sum(work.exposed for work in works), sum(work.timed for work in works)
        method = "graph" if works[0].method == "graph" else "queued ahead"
        why = f"; {no_graph}" if no_graph else ""
        warning = f"{exposed} of {timed} samples hold the time of launches, which could not be queued ahead{why}"
        return {"method": method, "exposed_samples": exposed, "graph": no_graph or None}, [warning] if exposed else []

    def _with_speed(self, record: MeasurementRecord, samples: Samples, plan: SamplingPlan) -> MeasurementRecord:
        """Add the median with its interval, the ratio with its decision, and the place under the roofline."""
        record = replace(record, samples=len(samples.own), looks=samples.looks, stopped=samples.stopped)
        median, low, high = statistics.median_interval(samples.own, samples.confidence)
        place = roofline.place(self.workload, median, high, self.device, record.cache)
        compared = self._beside_baseline(record, samples, plan) if samples.baseline else record
        if place.fault:
            # An impossible time is no speed: the record has no times, and the message says what was claimed and what is
            # possible.
            fault = replace(record, verdict="measuring fault", message=place.fault, roofline=place.rates)
            return replace(fault, warnings=compared.warnings)
        lower_quartile, upper_quartile = np.quantile(samples.own, (0.25, 0.75))
        return replace(
            compared,
            planned_looks=len(plan.looks),
            calls_per_sample=plan.calls,
            median_s=rounded(median),
            low_s=rounded(low),
            high_s=rounded(high),
            iqr_s=rounded(upper_quartile - lower_quartile),
            per_second=rounded(self.workload.amount / median),
            roofline=place.rates,
            roofline_share=place.share,
            warnings=(*compared.warnings, *([place.warning] if place.warning else [])),
        )

    def _beside_baseline(self, record: MeasurementRecord, samples: Samples, plan: SamplingPlan) -> MeasurementRecord:
        """Add the ratio to the baseline, its interval, and whether it is faster; of an A/A pair, remember the noise."""
        ratio, low, high = statistics.ratio_interval(samples.baseline, samples.own, samples.confidence)
        place = (*self._place, record.cache)
        noise = _NOISE.get(place, statistics.QUIET)
        warnings: tuple[str, ...] = ()
        if self.case.is_baseline:
            _NOISE[place] = noise = statistics.noise_of(low, high) if plan.enough else statistics.QUIET
            _BESIDE_ITSELF[place] = float(np.median(samples.baseline))
            found = statistics.Decision("baseline", "the baseline beside a copy of itself shows the noise of this clock")
            if statistics.decide(low, high) in ("faster", "slower"):
                warnings = (f"the baseline differs from itself by {noise.certain - 1:.1%} or more here: this place is noisy",)
        elif not plan.enough:
            found = statistics.Decision(
                "undecided",
                f"there was time for {len(samples.own) // 2} quads of samples only, and it takes "
                f"{statistics.fewest_quads(plan.confidence)} to say anything with {statistics.CONFIDENCE:.0%} confidence",
            )
        else:
            found = statistics.decision(low, high, noise, ratio)
        if found.word == "faster":
            own, beside = float(np.median(samples.own)), float(np.median(samples.baseline))
            alone, untold = self._alone(record.cache)
            doubt = contradicted(ratio, self._outside[1] / self._outside[0]) if self._outside else ""
            if reason := interference.undermined(own, beside, alone) or doubt:
                found = statistics.Decision("undecided", reason)
            warnings += untold
        return replace(
            record,
            ratio=rounded(ratio),
            ratio_low=rounded(low),
            ratio_high=rounded(high),
            noise=rounded(noise.certain),
            decision=found.word,
            reason=found.reason,
            warnings=warnings,
        )

    @property
    def _place(self) -> tuple[str, str, str]:
        return self.workload.system, self.workload.id, self.device

    def _slowed_baseline(self, cache: str, samples: Samples) -> list[str]:
        """Warn where the baseline took longer beside this implementation than beside a copy of itself."""
        usual = _BESIDE_ITSELF.get((*self._place, cache))
        if self.case.is_baseline or usual is None or not samples.baseline:
            return []
        return interference.slowed(float(np.median(samples.baseline)), usual)

    def _alone(self, cache: str) -> tuple[float, tuple[str, ...]]:
        """The least seconds of the baseline: beside a copy of itself, and in a process that loaded nothing else.

        The second holds a warning where that process could not time it.
        """
        usual = _BESIDE_ITSELF.get((*self._place, cache), math.inf)
        if self.workload not in self.workloads.WORKLOADS:
            return usual, ("the baseline was not timed in a process of its own, which knows the listed workloads alone",)
        alone = baseline_alone.seconds(*self._place)
        if isinstance(alone, str):
            return usual, (f"the baseline was not timed in a process of its own, which failed: {alone}",)
        return min(usual, alone[cache]), ()


def beside_another(baseline: Implementation) -> Implementation:
    """The baseline under a selector of its own."""
    return replace(baseline, spec=f"{baseline.selector} beside another")


def beside(baseline: Implementation | None) -> Implementation | None:
    """The baseline in a process of its own, where it has one: the A/A pair is of two processes, as any other pair."""
    again = baseline and beside_another(baseline)
    return again if again is not None and again.selector in CONNECTED_ELSEWHERE else baseline


def _timed_cpu_s(mine: Sequence[Buffers], theirs: Sequence[Buffers]) -> tuple[float, float]:
    own, other = (sum(buffers.work.cpu_s for buffers in side) for side in (mine, theirs))
    return own, other


_NOISE: dict[tuple[str, ...], statistics.Noise] = {}
"""By system, workload, device and cache: what the A/A pair of this process showed."""

_BESIDE_ITSELF: dict[tuple[str, ...], float] = {}
"""By the same: the seconds that the baseline took beside a copy of itself."""


@functools.lru_cache(maxsize=1)
def _reader() -> Any:
    return open_reader()


@contextlib.contextmanager
def _no_collecting(warnings: list[str]) -> Iterator[None]:
    """Switch the garbage collector off and hide from it what lives already; warn where it was switched on meanwhile."""
    collecting = gc.isenabled()
    gc.collect()
    gc.freeze()
    gc.disable()
    try:
        yield
        if gc.isenabled():
            warnings.append("garbage collection was switched on while it was timed, and may have run on either side")
    finally:
        gc.unfreeze()  # Python 3.12 starts with hundreds of frozen objects: a count of them does not say who froze any
        if collecting:
            gc.enable()


def _verified(prepared: Prepared, *, timed: bool = False) -> float:
    """The worst margin of a call made for verification, or of what timed calls left behind; WrongAnswer above 1."""
    verify = prepared.verify_timed if timed else prepared.verify
    if verify is None:
        return 0.0
    comparisons = list(verify())
    if not comparisons:
        raise AssertionError("the workload's verification compared nothing")
    assure_wrong_fails()
    worst = worst_of(comparisons)
    if worst.passed:
        return worst.margin
    raise WrongAnswer(
        f"{worst.quantity} {worst.worst}: got {worst.got}, expected {worst.expected} within {worst.bound}",
        rounded(worst.margin) if math.isfinite(worst.margin) else math.inf,
    )


def rounded(value: float) -> float:
    """Round to six significant digits: more would only be noise in a record."""
    return float(f"{value:.6g}")
