"""A clock times one call of a function on a device and gives seconds; on CUDA it waits for the device, not for the launch."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Protocol


class Clock(Protocol):
    """Times ``calls`` successive calls of ``run`` and returns the seconds they took together."""

    def time(self, run: Callable[[], Any], calls: int) -> float: ...


class HostClock:
    """The monotonic clock of the host; right for work that is finished when the call returns."""

    def time(self, run: Callable[[], Any], calls: int) -> float:
        started = time.perf_counter_ns()
        for _ in range(calls):
            run()
        return (time.perf_counter_ns() - started) * 1e-9


class CudaClock:
    """Device events around the work, read after the device has finished."""

    def __init__(self) -> None:
        import torch

        self._torch = torch

    def time(self, run: Callable[[], Any], calls: int) -> float:
        cuda = self._torch.cuda
        start, end = cuda.Event(enable_timing=True), cuda.Event(enable_timing=True)
        cuda.synchronize()
        start.record()
        for _ in range(calls):
            run()
        end.record()
        cuda.synchronize()
        return float(start.elapsed_time(end)) * 1e-3


def clock_for(device: str) -> Clock:
    """The clock of a device: ``cpu`` or ``cuda``."""
    return CudaClock() if device == "cuda" else HostClock()
