"""What one side does to the other without being on the clock: busy threads, a slowed baseline, answers that are kept.

All of it is told as warnings: none of these is by itself proof of a wrong measurement, and each has honest causes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.benchmark.sampler import SEEDS_APART
from conformance.benchmark.timer import Work
from conformance.benchmark.workload import Prepared

SETTLED_S, WATCHED_S = 0.25, 0.02
"""Pools of threads spin for a while after their last work: OpenMP's for a few milliseconds, OpenBLAS's for 2^28 ticks of the
processor's counter, 0.07 to 0.15 s. What still runs after that is no such pool."""
IDLE_CPUS = 0.2
GLANCE_S = 1e-3
TASKS = Path("/proc/self/task")
SPARE_CPUS = 0.5
"""By so much may all threads together exceed the number that was set."""
SLOWED = 1.25
REMEMBERED = 1.5
TRIES, LONG_S = 5, 0.1
"""Calls that are longer are not made again to see whether it remembers: it would cost as much as measuring them."""


def rest(sleep: Callable[[float], Any] = time.sleep, running: Callable[[], int] | None = None) -> None:
    """Wait until the threads that the last call used have gone to sleep, `SETTLED_S` at the most.

    Pools of BLAS and OpenMP spin in wait of more work: what one side's threads burn would be missing to the other side. Worse
    than their share: a barrier waits for a thread that has lost its CPU to a spinning one, for whole time slices, and so short
    work took seven times as long beside OpenBLAS.
    """
    running = running or others_running
    for _ in range(round(SETTLED_S / GLANCE_S)):
        if not running():
            return
        sleep(GLANCE_S)


def others_running(tasks: Path = TASKS) -> int:
    """How many threads of this process are on a CPU or wait for one, the calling one aside.

    Their CPU time would tell it late: what a thread uses is booked at the system's ticks, 4 or 10 ms apart, and in a shorter
    glance even a thread that never stops has used nothing. Where the system does not tell states, it is looked at for longer.
    """
    me, states = str(threading.get_native_id()), []
    try:
        for task in tasks.iterdir():
            if task.name != me:
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    states.append((task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0])
    except OSError:
        began = time.process_time()
        time.sleep(WATCHED_S)
        return round((time.process_time() - began) / WATCHED_S)
    return states.count("R")


def going_on(name: str, sleep: Callable[[float], Any] = time.sleep, used: Callable[[], float] = time.process_time) -> str:
    """A warning where the process computes while nobody has called anything; of threads that somebody left behind."""
    rest(sleep)
    began = used()
    sleep(WATCHED_S)
    cpus = (used() - began) / WATCHED_S
    if cpus < IDLE_CPUS:
        _GOING_ON.clear()
        return ""
    since = _GOING_ON.setdefault("since", name)
    return (
        f"threads of this process used {cpus:.1f} CPUs while nothing was called, which disturbs both sides; "
        f"first seen after {since} was timed; measure what leaves no threads behind in a run without it"
    )


_GOING_ON: dict[str, str] = {}
"""After which implementation of this process threads were first seen to go on."""


def cpus_used(works: Sequence[Work]) -> float | None:
    """How many CPUs the process was on while these were timed."""
    wall = sum(work.wall_s for work in works)
    return float(f"{sum(work.cpu_s for work in works) / wall:.3g}") if wall else None


def more_cpus(used: float | None, threads: Mapping[str, int | str], allowed: int) -> list[str]:
    """A warning where it had more threads at work than were set for both sides."""
    numbers = [number for number in threads.values() if isinstance(number, int)]
    if used is None or not numbers or used <= max(numbers) + SPARE_CPUS or allowed <= max(numbers):
        return []
    threads_set = f"{max(numbers)} thread{'s' * (max(numbers) > 1)}"
    return [f"{used:.1f} CPUs were at work on it, where {threads_set} had been set for both sides"]


def slowed(beside: float, alone: float) -> list[str]:
    """A warning where the baseline took longer beside it than beside a copy of itself: the ratio owes something to that."""
    if beside <= SLOWED * alone:
        return []
    return [
        f"the baseline took {beside:.3g} s beside it and {alone:.3g} s beside a copy of itself: it, or something since, slows "
        "the baseline down, and the ratio with it; measure it in a run of its own"
    ]


def undermined(word: str, own: float, beside: float, alone: float) -> str:
    """Why it is not called faster, where it is so only beside a baseline that its company slows down; else ""."""
    if word != "faster" or beside <= SLOWED * alone or own < alone:
        return ""
    return (
        f"it takes {own:.3g} s, and the baseline {beside:.3g} s beside it but {alone:.3g} s beside a copy of itself: "
        "what looks faster is a baseline slowed down"
    )


def remembering(own: Prepared, other: Prepared | None, timed: Callable[[Callable[[], Any]], float]) -> str:
    """A warning where inputs that it has just seen take it much less time than new ones, and the baseline not."""
    factors: list[tuple[float, float] | None] = []
    for prepared in (own, other):
        if prepared is None or prepared.renew is None:
            factors.append(None)
            continue
        new, again = [], []
        for number in range(TRIES):
            prepared.renew(3 * SEEDS_APART + number)
            new.append(timed(prepared.run))
            if new[-1] > LONG_S:
                return ""
            again.append(timed(prepared.run))
        factors.append((min(new), min(again)))
    if factors[0] is None:
        return ""
    new_s, again_s = factors[0]
    usual = factors[1][0] / factors[1][1] if factors[1] else 1.0
    if new_s <= REMEMBERED * max(usual, 1.0) * again_s:
        return ""
    return (
        f"inputs that it has just seen take it {again_s:.3g} s, new ones {new_s:.3g} s: it keeps results, and its speed with "
        "a warm cache is not that of the work"
    )
