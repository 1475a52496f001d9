"""Launches stay off the device clock, and where they cannot, the record says so; all on a simulated device."""

from __future__ import annotations

import subprocess
import sys
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conformance.benchmark import timer
from conformance.benchmark.timer import LONGEST_AHEAD_S, DeviceClock, DeviceLost, HostClock
from tests.core.said import said


class MadeUpDevice:
    """A host and a device with times of their own: a launch costs the host, a kernel the device; the queue has an end."""

    def __init__(self, launch_s: float = 20e-6, queue: int = 10**9, overhead_s: float = 0.0, dead: bool = False) -> None:
        self.host = self.device = 0.0
        self.launch_s, self.overhead_s = launch_s, overhead_s
        self.queue: deque[float] = deque()
        self.depth = queue
        self.capturing: list[float] | None = None
        self.spun: list[float] = []
        self.synchronized = 0
        self.dead = dead

    def kernel(self, seconds: float, launch_s: float | None = None) -> None:
        if self.capturing is not None:
            self.capturing.append(seconds)
            return
        self.host += self.launch_s if launch_s is None else launch_s
        while self.queue and self.queue[0] <= self.host:
            self.queue.popleft()
        if len(self.queue) >= self.depth:  # the host waits for a place
            self.host = max(self.host, self.queue.popleft())
        self.device = max(self.device, self.host) + seconds + self.overhead_s
        self.queue.append(self.device)

    def now(self) -> float:
        return self.host

    def mark(self) -> float:
        self.device = max(self.device, self.host)
        return self.device

    def passed(self, event: float) -> bool:
        return self.host >= event

    def between(self, start: float, end: float) -> float:
        return end - start

    def synchronize(self) -> None:
        if self.capturing is not None:
            raise RuntimeError("operation not permitted when stream is capturing")
        self.synchronized += 1
        self.host = max(self.host, self.device)

    def spin(self, seconds: float) -> None:
        self.spun.append(seconds)
        self.kernel(seconds)

    def capture(self, launch: Callable[[], Any]) -> Callable[[], Any]:
        self.capturing = []
        try:
            launch()
            kernels = self.capturing
        finally:
            self.capturing = None
        return lambda: self.kernel(sum(kernels))

    def works(self) -> bool:
        return not self.dead


def test_ten_short_kernels_take_what_the_device_takes_and_not_what_launching_them_does() -> None:
    device = MadeUpDevice(launch_s=20e-6)
    clock = DeviceClock(device)
    work = clock.ready(lambda: [device.kernel(2e-6) for _ in range(10)], 3)
    assert said(clock.time(work)) == said(3 * 10 * 2e-6)
    assert (work.timed, work.exposed) == (1, 0)


def test_without_spinning_the_launches_would_be_on_the_clock() -> None:
    device = MadeUpDevice(launch_s=20e-6)
    start = device.mark()
    for _ in range(10):
        device.kernel(2e-6)
    assert device.between(start, device.mark()) > 10 * 20e-6 - 1e-12


def test_what_goes_before_is_off_the_clock() -> None:
    device = MadeUpDevice()
    clock = DeviceClock(device)
    work = clock.ready(lambda: device.kernel(1e-4), 1)
    assert said(clock.time(work, lambda: device.kernel(5e-3))) == said(1e-4)


def test_a_device_is_kept_busy_with_the_same_work_off_the_clock() -> None:
    device, evicted = MadeUpDevice(), []
    clock = DeviceClock(device, busy_s=0.01)
    work = clock.ready(lambda: device.kernel(1e-3), 1)
    times = []
    for _ in range(3):
        began = device.device
        times.append(said(clock.time(work, lambda: evicted.append(1))))
        ran = device.device - began
        assert ran > 0.011 or len(times) == 1, "the first sample says how often"
    assert times == [said(1e-3)] * 3
    assert len(evicted) == 1 + 11 + 11, "whatever comes before a call comes before each of them"
    assert clock.name == "device events, behind 10 ms of the same work"


def test_the_device_spins_longer_where_launching_takes_longer() -> None:
    device = MadeUpDevice(launch_s=1e-3)
    clock = DeviceClock(device)
    work = clock.ready(lambda: [device.kernel(1e-6) for _ in range(20)], 1)
    assert said(clock.time(work)) == said(20e-6)
    assert (work.exposed, work.hopeless) == (0, False)
    assert len(device.spun) == 2
    assert device.spun[1] > device.spun[0]
    clock.time(work)
    assert len(device.spun) == 3, "what was learnt once holds for the samples to come"


def test_a_full_queue_and_work_that_waits_are_told_and_not_tried_for_ever() -> None:
    device = MadeUpDevice(queue=64)
    clock = DeviceClock(device)
    many = clock.ready(lambda: [device.kernel(1e-6) for _ in range(1000)], 1)
    waits = clock.ready(lambda: [device.kernel(1e-6), device.synchronize(), device.kernel(1e-6)], 1)
    for work in (many, waits):
        before = len(device.spun)
        for _ in range(5):
            clock.time(work)
        assert (work.timed, work.exposed, work.hopeless) == (5, 5, True)
        assert len(device.spun) - before == 7, "three attempts at the first sample, one at each of the others"
        assert max(device.spun) <= LONGEST_AHEAD_S


def test_many_launches_are_replayed_as_one() -> None:
    device = MadeUpDevice(queue=64)
    clock = DeviceClock(device)
    work = clock.captured(lambda: [device.kernel(1e-6) for _ in range(1000)], 1, None)
    assert not isinstance(work, str)
    assert said(clock.time(work)) == said(1000e-6)
    assert (work.method, work.timed, work.exposed) == ("graph", 1, 0)


def test_what_cannot_be_captured_says_why() -> None:
    device = MadeUpDevice()
    clock = DeviceClock(device)
    reason = clock.captured(lambda: [device.kernel(1e-6), device.synchronize()], 1, 1e-6)
    assert reason == ("it cannot be captured into a graph (RuntimeError: operation not permitted when stream is capturing)")
    device.kernel(1e-6)
    assert device.capturing is None


def test_after_a_capture_that_failed_it_is_seen_whether_the_device_still_computes() -> None:
    device = MadeUpDevice(dead=True)
    with pytest.raises(DeviceLost, match=r"not permitted when stream is capturing.*no longer computes what is known"):
        DeviceClock(device).captured(lambda: device.synchronize(), 1, 1e-6)


def test_a_device_that_is_lost_gives_no_more_figures_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.benchmark import benchmark
    from conformance.benchmark.workload import BenchmarkCase
    from conformance.benchmark.workload_file import made
    from conformance.engine.discovery import select

    def measured(run: benchmark.BenchmarkRun) -> None:
        raise DeviceLost("a capture failed")

    monkeypatch.setattr(benchmark.BenchmarkRun, "measure", measured)
    monkeypatch.setattr(benchmark, "_LOST", [])
    (chosen,) = select(["ademamix/torch-eager"]).implementations
    case = BenchmarkCase(chosen, None, made({"system": "ademamix", "parameters": 100}), "cuda", quick=True)
    first, second = (benchmark.measure(case).deciding for _ in range(2))
    assert (first.verdict, first.message) == ("error", "a capture failed")
    assert second.verdict == "not run"
    assert "the device is lost to this process (a capture failed); run it again" in second.message


def test_a_graph_in_which_work_is_missing_is_refused() -> None:
    """As of work on a stream of its own, which a capture does not see."""
    device = MadeUpDevice()
    clock = DeviceClock(device)

    def run() -> None:
        if device.capturing is None:
            device.kernel(1e-4)
        device.kernel(1e-5)

    assert "so work is missing in it" in str(clock.captured(run, 1, 1.1e-4))
    assert not isinstance(clock.captured(run, 1, 1e-5), str)


def test_the_state_of_the_device_is_read_while_it_works() -> None:
    device = MadeUpDevice()
    clock = DeviceClock(device)
    busy: list[bool] = []
    clock.observe = lambda: busy.append(device.device > device.host)
    clock.time(clock.ready(lambda: device.kernel(1e-3), 1))
    assert busy == [True]


def test_how_long_launching_takes_is_told_beside() -> None:
    device = MadeUpDevice(launch_s=3e-5)
    assert said(DeviceClock(device).launching_seconds(lambda: [device.kernel(1e-6)] * 1)) == said(3e-5)


def test_the_host_clock_times_the_calls_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    readings = iter([1 * 10**9, 5 * 10**9])

    def now() -> int:
        order.append("clock")
        return next(readings)

    monkeypatch.setattr(timer, "perf_counter_ns", now)
    clock = HostClock(lambda: order.append("synchronize"))
    clock.observe = lambda: order.append("observe")
    seconds = clock.time(clock.ready(lambda: order.append("call"), 2), lambda: order.append("before"))
    assert order == ["before", "synchronize", "clock", "call", "call", "synchronize", "clock", "observe"]
    assert seconds == 4.0


def test_a_cpu_is_not_kept_busy() -> None:
    root = Path(__file__).resolve().parents[2]
    command = [
        sys.executable,
        "-m",
        "pytest",
        "conformance/rag",
        "--benchmark-only",
        "--sustained",
        "-q",
        "-p",
        "no:cacheprovider",
    ]
    said = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False).stderr
    assert "--sustained: found --device cpu, expected cuda" in said
