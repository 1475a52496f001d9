"""A device that is none: it computes on the CPU, at once, and its events are readings of the host's clock.

`install` makes it the CUDA device of a process. So the way of a timing between processes is rehearsed where there is no GPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any


class StubDevice:
    """See `conformance.benchmark.timer.Device`."""

    def now(self) -> float:
        return time.perf_counter()

    mark = now

    def passed(self, event: float) -> bool:
        return False

    def between(self, start: float, end: float) -> float:
        return end - start

    def synchronize(self) -> None:
        pass

    def spin(self, seconds: float) -> None:
        pass

    def capture(self, launch: Callable[[], Any]) -> Callable[[], Any]:
        launch()
        return launch

    def works(self) -> bool:
        return True


def install() -> None:
    """In a process of something that is timed, before it is connected."""
    from conformance.ademamix.harness import torch_backend as optimizers
    from conformance.benchmark import cache, memory, on_device, timer
    from conformance.sigmoid_attention.harness import torch_backend as attention

    start = vars(optimizers.TorchBackend)["start"].__func__
    for place, name, stands_in in (
        (timer, "TorchCuda", StubDevice),
        (cache, "CudaCache", stub_cache),
        (memory, "_on_device", lambda run: int(run() is not None)),
        (on_device, "synchronize", nothing),
        (attention, "torch_device", lambda name: "cpu"),
        (
            optimizers.TorchBackend,
            "start",
            classmethod(lambda kind, plug, load: start(kind, replace(plug, device="cpu"), load)),
        ),
    ):
        setattr(place, name, stands_in)
    made = attention.TorchWork.__init__

    def unwatched(work: Any, *arguments: Any) -> None:
        made(work, *arguments)
        work._watched = False  # as on a device

    setattr(attention.TorchWork, "__init__", unwatched)  # noqa: B010


def nothing() -> None:
    """Wait for nothing."""


def stub_cache() -> Any:
    return SimpleNamespace(bytes=1, assumed=False, evict=nothing)
