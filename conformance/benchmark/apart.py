"""Time calls that are made in another process, by the clock of this one.

What is tested has no part in its own timing. This process tells the other what to work on, in one message, and stops its clock
when the answer is here, whole. What such an exchange takes by itself is measured with the same message and no call, in the
baseline's process, which has loaded nothing but the baseline, and is subtracted on both sides. Processor time, threads,
interruptions and memory are read from the kernel, not asked for.
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from conformance.benchmark import affinity, allocator
from conformance.engine.remote_subject import Remote, RemoteObject, RemoteSubject

SHORTEST_SAMPLE_S = 2e-3
"""A warm sample lasts this long at least: an exchange takes some hundred microseconds, and not always the same."""
EXCHANGES = 9
"""So often is an exchange without a call timed; the median counts."""
_ROUSING = 2
"""Exchanges before one that is timed, so that neither process has to wake up or to read its own code anew."""


@dataclass(frozen=True)
class ApartProcess:
    """The process in which a timed work lives."""

    remote: Remote

    @property
    def pid(self) -> int:
        return self.remote.child.pid

    def cpu_s(self) -> float:
        """Seconds of processor time of all its threads, by the kernel's account of another process."""
        return time.clock_gettime((~self.pid << 3) | 2)  # CPUCLOCK_SCHED of a process, as clock_getcpuclockid() makes it

    def rouse(self) -> None:
        for _ in range(_ROUSING):
            self.remote.do(os.getpid)

    @property
    def tasks(self) -> Path:
        """The folder of its threads."""
        return Path("/proc") / str(self.pid) / "task"

    def switches_and_faults(self) -> tuple[int, int]:
        """How often the kernel took a CPU from one of its threads, and its page faults; 0 where the system does not tell."""
        switches = faults = 0
        with contextlib.suppress(OSError, ValueError, IndexError):
            for task in self.tasks.iterdir():
                text = (task / "status").read_text(encoding="utf-8", errors="replace")
                switches += int(text.partition("nonvoluntary_ctxt_switches:")[2].split()[0])
            fields = (self.tasks.parent / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            faults = int(fields[7]) + int(fields[9])
        return switches, faults

    def settle(self) -> affinity.Pins:
        """Set it up for being timed, as this process would be, and say what is in force. Repeated, it changes nothing."""
        threads = self.remote.do(settle)
        return affinity.Pins(threads=dict(threads), affinity=tuple(sorted(os.sched_getaffinity(self.pid))))


@dataclass(frozen=True)
class Request:
    """Calls that are prepared: ``send`` has them made, and gives the seconds until the answer was here."""

    process: ApartProcess
    call: Callable[[], Any]
    took: Callable[[Any], Any]
    """Takes the answer, off the clock."""

    def send(self) -> float:
        answer = self.call()
        seconds = self.process.remote.child.took_s
        self.took(answer)
        return seconds


def lives_elsewhere(subject: object) -> bool:
    """Whether what a subject makes ready to be timed lives in another process."""
    return isinstance(subject, RemoteSubject)


def process_of(work: object) -> ApartProcess | None:
    """Where a timed work lives; None where that is here."""
    return ApartProcess(work.remote) if isinstance(work, RemoteObject) else None


def request(work: RemoteObject, name: str, told: Any, took: Callable[[Any], Any]) -> Request:
    """A method of a work that lives elsewhere, called with what it is told, off the clock until it is sent."""
    return Request(ApartProcess(work.remote), work.prepared(name, told), took)


def settle() -> dict[str, int | str]:
    """In the other process: numbers of threads, memory and the collector as they are where samples are taken."""
    if not _SETTLED:
        allocator.keep_memory()
        _SETTLED.append(affinity.pinned())
        pins = _SETTLED[0].__enter__()  # for the rest of the process
        _THREADS.update(pins.threads)
        gc.collect()
        gc.freeze()
        gc.disable()
    return _THREADS


_SETTLED: list[Any] = []
_THREADS: dict[str, int | str] = {}
