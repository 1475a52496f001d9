"""Time work on a device: on CUDA between two events, with every launch queued beforehand.

The device first spins for a while, and everything that is timed is queued behind that. It reaches the first event only after
the last launch, so no launch is timed. Where the host cannot keep ahead (more launches than a queue holds, work that waits for
the device) short work is captured into a graph and replayed. Where that is impossible, the record says so, and why.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns, process_time_ns  # bound here: what is timed may replace those of the module
from typing import Any, Protocol

from conformance.benchmark.apart import Request
from impls.implementation import in_one_line

FIRST_AHEAD_S = 1e-3
LONGEST_AHEAD_S = 0.25
"""The device spins for about as long as launching takes, but never longer than this."""
ATTEMPTS = 3
LAUNCHES = 3
"""So often is one call launched on an idle device; the median counts."""
GRAPH_BELOW_S = 1e-4
"""Shorter calls are replayed from a graph, where that is possible for both sides."""
SUSTAINED_S = 0.1
"""So long a device is kept busy before each sample where that is asked for: as long as triton.testing.do_bench times."""
SHORTEST_S = 1e-9
"""Where calls in another process take less than an exchange with it scatters, their time would come out below 0."""
TOO_FAST = 0.5
"""A replay that takes less than this share of the captured calls' time has left work out."""


def nothing() -> None:
    """Do nothing: the default for what a clock calls before or during timed work."""


@dataclass
class Work:
    """What one sample times: ``launch`` makes ``calls`` calls. ``method`` is ``calls`` or ``graph``."""

    launch: Callable[[], Any]
    calls: int
    method: str = "calls"
    timed: int = 0
    exposed: int = 0
    """How many of the timings include a launch."""
    ahead_s: float = FIRST_AHEAD_S
    wall_s: float = 0.0
    cpu_s: float = 0.0
    """On the host: seconds of all timings together, and of CPU time of all the process's threads meanwhile."""
    lasts_s: float = 0.0
    """On the device, as last timed."""
    hopeless: bool = False
    """Whether it has been seen that the host cannot keep ahead."""
    request: Callable[[int], Request] | None = None
    """Prepares so many calls in another process, where the work lives there; ``launch`` is not used then."""
    exchange_s: float = 0.0
    """Seconds that such a request takes without its calls."""
    elsewhere: Any = None
    """Where it lives in another process and is timed there, on a device: see `on_device.Elsewhere`."""


class DeviceLost(Exception):
    """The device computes nothing right in this process any more; in a fresh one it may."""


class Clock(Protocol):
    """Times work. ``observe`` is called while it runs, so that the device's state is read beside each sample.

    ``time`` returns the seconds of all calls together; what ``before`` does is not timed.
    """

    name: str
    observe: Callable[[], Any]

    def ready(self, run: Callable[[], Any], calls: int) -> Work: ...

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float: ...


def repeated(run: Callable[[], Any], calls: int) -> Callable[[], Any]:
    """A function that makes the calls."""
    if calls == 1:
        return run

    def launch() -> None:
        for _ in range(calls):
            run()

    return launch


class HostClock:
    """The monotonic clock of the host, for work that is finished when the call returns."""

    name = "host"

    def __init__(self, synchronize: Callable[[], Any] = nothing) -> None:
        self.observe: Callable[[], Any] = nothing
        self._synchronize = synchronize

    def ready(self, run: Callable[[], Any], calls: int) -> Work:
        return Work(repeated(run, calls), calls)

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        if work.request is not None:
            return self._around(work.request(work.calls), work, before)
        before()
        self._synchronize()
        used = process_time_ns()
        started = perf_counter_ns()
        work.launch()
        self._synchronize()
        seconds = (perf_counter_ns() - started) * 1e-9
        work.cpu_s += (process_time_ns() - used) * 1e-9
        work.wall_s += seconds
        work.timed += 1
        self.observe()
        return seconds

    def _around(self, request: Request, work: Work, before: Callable[[], Any]) -> float:
        """The time of calls in another process: of the request, less what it takes without them."""
        before()
        request.process.rouse()
        used = request.process.cpu_s()
        seconds = max(request.send() - work.exchange_s, SHORTEST_S)
        work.cpu_s += request.process.cpu_s() - used
        work.wall_s += seconds
        work.timed += 1
        self.observe()
        return seconds


class Device(Protocol):
    """What the clock needs of a device: `TorchCuda` on CUDA, a made-up one in our tests."""

    def now(self) -> float: ...

    def mark(self) -> Any: ...

    def passed(self, event: Any) -> bool: ...

    def between(self, start: Any, end: Any) -> float: ...

    def synchronize(self) -> None: ...

    def spin(self, seconds: float) -> None: ...

    def capture(self, launch: Callable[[], Any]) -> Callable[[], Any]: ...

    def works(self) -> bool:
        """Whether it still computes what is known, recorded in a graph too; never raises."""


class DeviceClock:
    """Times work between two events of the device; all of it is queued before the device begins."""

    name = "device events"

    def __init__(self, device: Device, busy_s: float = 0.0) -> None:
        self.observe: Callable[[], Any] = nothing
        self.device, self.busy_s = device, busy_s
        if busy_s:
            self.name = f"device events, behind {1000 * busy_s:.0f} ms of the same work"

    def ready(self, run: Callable[[], Any], calls: int) -> Work:
        return Work(repeated(run, calls), calls)

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        seconds, ahead = self._once(work, before)
        for _ in range(ATTEMPTS - 1):
            if ahead or work.hopeless:
                break
            seconds, ahead = self._once(work, before)
        # Spinning longer did not help, so it never will: later samples are not taken three times.
        work.hopeless = work.hopeless or not ahead
        work.timed += 1
        work.exposed += not ahead
        return seconds

    def _once(self, work: Work, before: Callable[[], Any]) -> tuple[float, bool]:
        """Seconds between the events, and whether all launches were queued before the device came to the first."""
        device = self.device
        device.synchronize()
        started = device.now()
        device.spin(work.ahead_s)
        self._keep_busy(work, before)
        before()
        start = device.mark()
        work.launch()
        end = device.mark()
        ahead = not device.passed(start)
        launching = device.now() - started
        if not ahead:
            work.ahead_s = min(2 * max(launching, work.ahead_s), LONGEST_AHEAD_S)
        self.observe()
        device.synchronize()
        work.lasts_s = device.between(start, end)
        return work.lasts_s, ahead

    def _keep_busy(self, work: Work, before: Callable[[], Any]) -> None:
        """Queue the same work for as long as the device is to be kept busy; how often, the last sample says."""
        if self.busy_s and work.lasts_s:
            for _ in range(math.ceil(self.busy_s / work.lasts_s)):
                before()
                work.launch()

    def captured(self, run: Callable[[], Any], calls: int, seconds: float | None) -> Work | str:
        """The calls as one graph, or why they cannot be one. ``seconds`` is what one call takes when queued, where known.

        A capture that failed may leave the device in a state in which nothing works any more: DeviceLost then.
        """
        try:
            work = Work(self.device.capture(repeated(run, calls)), calls, "graph")
            taken = min(self.time(work) for _ in range(3)) / calls
        except Exception as error:
            why = f"it cannot be captured into a graph ({type(error).__name__}: {in_one_line(str(error))[:160]})"
            if not self.device.works():
                raise DeviceLost(f"{why}, and after that the device no longer computes what is known") from error
            return why
        if taken <= 0 or (seconds is not None and taken < TOO_FAST * seconds):
            return (
                f"a replay of its graph takes {taken:.3g} s where a call takes {seconds or 0:.3g} s, so work is missing in it"
            )
        work.timed = work.exposed = 0
        return work

    def replaying(self, work: Work, run: Callable[[], Any], call_s: float | None) -> Work | str:
        """A work's calls as one graph, see `captured`; ``run`` makes one of them."""
        return self.captured(run, work.calls, call_s)

    def launching_seconds(self, run: Callable[[], Any]) -> float:
        """Seconds that the host is busy with one call on an idle device."""
        taken = []
        for _ in range(LAUNCHES):
            self.device.synchronize()
            started = self.device.now()
            run()
            taken.append(self.device.now() - started)
        self.device.synchronize()
        return sorted(taken)[LAUNCHES // 2]


class TorchCuda:
    """The current CUDA device through torch."""

    def __init__(self) -> None:
        import torch

        self._torch = torch
        self._cycles_per_second = self._calibrate()

    def now(self) -> float:
        return time.perf_counter()

    def mark(self) -> Any:
        event = self._torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def passed(self, event: Any) -> bool:
        return bool(event.query())

    def between(self, start: Any, end: Any) -> float:
        return float(start.elapsed_time(end)) * 1e-3

    def synchronize(self) -> None:
        self._torch.cuda.synchronize()

    def spin(self, seconds: float) -> None:
        self._torch.cuda._sleep(int(seconds * self._cycles_per_second))

    def capture(self, launch: Callable[[], Any]) -> Callable[[], Any]:
        import warnings

        cuda = self._torch.cuda
        aside = cuda.Stream()
        aside.wait_stream(cuda.current_stream())
        with cuda.stream(aside):  # the warm-up that a capture wants, where lazy initialisation may still happen
            launch()
        cuda.current_stream().wait_stream(aside)
        graph = cuda.CUDAGraph()
        with warnings.catch_warnings():
            warnings.filterwarnings("error", message=".*[Gg]raph is empty.*")
            with cuda.graph(graph):
                launch()
        graph.replay()
        cuda.synchronize()
        return graph.replay  # type: ignore[no-any-return]

    def works(self) -> bool:
        torch = self._torch
        try:
            self.synchronize()
            ones, total = torch.ones(1024, device="cuda"), torch.zeros((), device="cuda")
            total.copy_(ones.sum())
            eager = float(total)
            total.zero_()
            self.capture(lambda: torch.sum(ones, 0, out=total))  # which also replays it once
            return eager == float(total) == 1024.0
        except Exception:
            return False

    def _calibrate(self) -> float:
        """Cycles that a second of spinning needs; the first round wakes the clocks."""
        cycles, seconds = 20_000_000, 1.0
        for _ in range(2):
            self.synchronize()
            start = self.mark()
            self._torch.cuda._sleep(cycles)
            end = self.mark()
            self.synchronize()
            seconds = self.between(start, end)
        return cycles / max(seconds, 1e-6)


def clock_for(device: str, *, synchronous: bool = False, busy_s: float = 0.0) -> HostClock | DeviceClock:
    """The clock of a device, ``cpu`` or ``cuda``; the host's for CUDA work that is not on torch's stream and waits itself.

    A device's clock has the same work run for ``busy_s`` before what it times.
    """
    if device != "cuda":
        return HostClock()
    if not synchronous:
        return DeviceClock(TorchCuda(), busy_s)
    import torch

    return HostClock(torch.cuda.synchronize)
