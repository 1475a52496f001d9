"""Empty the caches before a cold sample, by reading memory that the work never touches.

Before a cold sample, off the clock, twice the size of the last-level cache is read (on CUDA four times the L2). On a CPU each
core reads a share, so that its private caches are emptied too. Reading leaves nothing to be written back while work is timed.
A warm sample comes right after an untimed call on the same buffers.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from conformance.benchmark.affinity import allowed_cpus

CONDITIONS = ("warm", "cold")
ASSUMED_BYTES = 32 * 2**20
MOST_BYTES = 2**30
"""No more than this is read, however large the caches are."""
TIMES, TIMES_CUDA = 2, 4
PRIVATE_BYTES = 4 * 2**20
"""Each core reads at least this much: more than twice any private cache."""

SYSTEM = Path("/sys/devices/system/cpu")


def last_level_bytes(cpus: tuple[int, ...], system: Path = SYSTEM) -> int | None:
    """The size of the last-level caches of these CPUs together; None where the system does not say."""
    found: dict[str, int] = {}
    for cpu in cpus:
        levels = []
        for index in sorted(system.glob(f"cpu{cpu}/cache/index*")):
            with contextlib.suppress(OSError, ValueError):
                kind, level, shared, size = (
                    (index / name).read_text().strip() for name in ("type", "level", "shared_cpu_list", "size")
                )
                if kind != "Instruction":
                    levels.append((int(level), shared, _bytes(size)))
        if levels:
            *cache, size_bytes = max(levels)
            found[str(cache)] = size_bytes
    return sum(found.values()) or None


def _bytes(size: str) -> int:
    unit = {"K": 2**10, "M": 2**20, "G": 2**30}.get(size[-1])
    return int(size[:-1]) * unit if unit else int(size)


class HostCache:
    """The caches of the CPUs that this process may use."""

    def __init__(self, cpus: tuple[int, ...], size: int | None) -> None:
        self.bytes = size or ASSUMED_BYTES
        self.assumed = size is None
        total = max(min(TIMES * self.bytes, MOST_BYTES), PRIVATE_BYTES * len(cpus))
        share = -(-total // (8 * len(cpus)))
        self._readers = [_Reader(cpu, share) for cpu in cpus]
        for reader in self._readers:
            reader.wait()  # for its memory

    def evict(self) -> None:
        """Let each core read its share, and wait for all of them."""
        for reader in self._readers:
            reader.begin()
        for reader in self._readers:
            reader.wait()


class _Reader:
    """A thread on one core with memory of its own to read; it sleeps between."""

    def __init__(self, cpu: int, words: int) -> None:
        self._cpu, self._words = cpu, words
        self._asked: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, name=f"evict-{cpu}", daemon=True).start()

    def begin(self) -> None:
        self._asked.put(None)

    def wait(self) -> None:
        self._done.get()

    def _serve(self) -> None:
        if hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(OSError):  # a CPU that went away; its share is read from another one
                os.sched_setaffinity(threading.get_native_id(), {self._cpu})
        # Ones, since pages of zeros may all share one physical page.
        memory = np.ones(self._words, np.int64)
        self._done.put(None)
        while True:
            self._asked.get()
            int(memory.sum())
            self._done.put(None)


class CudaCache:
    """The L2 of the current CUDA device; ``evict`` queues the reading and does not wait."""

    assumed = False

    def __init__(self) -> None:
        import torch

        self.bytes = int(torch.cuda.get_device_properties(torch.cuda.current_device()).L2_cache_size)
        count = max(1, min(TIMES_CUDA * self.bytes, MOST_BYTES) // 4)
        memory = torch.ones(count, dtype=torch.int32, device="cuda")
        result = torch.empty((), dtype=torch.int32, device="cuda")
        self.evict: Callable[[], Any] = lambda: torch.amax(memory, 0, out=result)


@functools.lru_cache(maxsize=2)
def cache_of(device: str) -> HostCache | CudaCache:
    """The cache that is emptied for a cold sample on a device."""
    if device == "cuda":
        return CudaCache()
    cpus = allowed_cpus()
    return HostCache(cpus, last_level_bytes(cpus))
