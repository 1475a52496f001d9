"""Find what one side does to the other off the clock: busy threads, a slowed baseline, results that are kept.

All of it is reported as warnings: none is proof of a wrong measurement by itself, and each has honest causes.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from conformance.benchmark.apart import ApartProcess
from conformance.benchmark.sampler import SEEDS_APART
from conformance.benchmark.timer import Work
from conformance.benchmark.workload import Prepared

SETTLED_S, WATCHED_S = 0.25, 0.02
"""Thread pools spin for a while after their last work: OpenMP's for a few milliseconds, OpenBLAS's for 2^28 ticks of the
processor's counter, 0.07 to 0.15 s. What still runs after that is no such pool."""
IDLE_CPUS = 0.2
POLL_S = 1e-3
TASKS = Path("/proc/self/task")
SPARE_CPUS = 0.5
"""All threads together may use this much more than the number that was set."""
SLOWED = 1.25
REMEMBERED = 1.5
TRIES, LONG_S = 5, 0.1
"""Longer calls are not repeated to see whether they keep results: it would cost as much as measuring them."""


def rest(
    sleep: Callable[[float], Any] = time.sleep,
    running: Callable[[], int] | None = None,
    processes: Sequence[ApartProcess] = (),
) -> None:
    """Wait until the threads that the last call used are idle, here or in these processes, `SETTLED_S` at most.

    Pools of BLAS and OpenMP spin while they wait for more work, and take CPU time from the other side. Worse, a barrier waits
    whole time slices for a thread that has lost its CPU to a spinning one: short work took seven times as long beside it.
    """
    if running is None:
        running = (lambda: sum(others_running(each.tasks) for each in processes)) if processes else others_running
    for _ in range(round(SETTLED_S / POLL_S)):
        if not running():
            return
        sleep(POLL_S)


def others_running(tasks: Path = TASKS) -> int:
    """How many threads of this process, other than the calling one, are on a CPU or wait for one.

    Their CPU time would show it late: the system books it every 4 or 10 ms, and before that even a thread that never stops has
    used none. Where the system does not show states, CPU time is watched for longer.
    """
    me, states = str(threading.get_native_id()), []
    try:
        for task in tasks.iterdir():
            if task.name != me:
                with contextlib.suppress(OSError):  # it has ended meanwhile
                    states.append((task / "stat").read_text(errors="replace").rpartition(")")[2].split()[0])
    except OSError:
        started = time.process_time()
        time.sleep(WATCHED_S)
        return round((time.process_time() - started) / WATCHED_S)
    return states.count("R")


def threads_left(
    name: str,
    sleep: Callable[[float], Any] = time.sleep,
    used: Callable[[], float] = time.process_time,
    processes: Sequence[ApartProcess] = (),
) -> str:
    """Warn where the process computes while nothing is called: some implementation left threads behind."""
    rest(sleep, processes=processes)
    started = used()
    sleep(WATCHED_S)
    cpus = (used() - started) / WATCHED_S
    if cpus < IDLE_CPUS:
        _LEFT_BY.clear()
        return ""
    if processes:
        return f"threads of its process used {cpus:.1f} CPUs while nothing was called, which disturbs both sides"
    since = _LEFT_BY.setdefault("since", name)
    return (
        f"threads of this process used {cpus:.1f} CPUs while nothing was called, which disturbs both sides; "
        f"first seen after {since} was timed; measure what leaves no threads behind in a run without it"
    )


_LEFT_BY: dict[str, str] = {}
"""The implementation after which threads were first seen to go on in this process."""


def cpus_used(works: Sequence[Work]) -> float | None:
    """How many CPUs the process was on while these were timed."""
    wall = sum(work.wall_s for work in works)
    return float(f"{sum(work.cpu_s for work in works) / wall:.3g}") if wall else None


def more_cpus(used: float | None, threads: Mapping[str, int | str], allowed: int) -> list[str]:
    """Warn where more threads worked than were set for both sides."""
    numbers = [number for number in threads.values() if isinstance(number, int)]
    if used is None or not numbers or used <= max(numbers) + SPARE_CPUS or allowed <= max(numbers):
        return []
    threads_set = f"{max(numbers)} thread{'s' * (max(numbers) > 1)}"
    return [f"{used:.1f} CPUs were at work on it, where {threads_set} had been set for both sides"]


def off_the_clock(own_s: float, own_timed_s: float, beside_s: float) -> list[str]:
    """Warn where its process computes between the samples: what it is asked for there takes no more than a timed call.

    ``own_s`` and ``beside_s`` are processor seconds of the two processes beside the timed calls, ``own_timed_s`` those of its
    timed calls.
    """
    if own_s - beside_s <= own_timed_s + IDLE_CPUS * WATCHED_S:
        return []
    return [
        f"its process used {own_s:.3g} s of processor time beside the timed calls, which took {own_timed_s:.3g} s, and the "
        f"baseline's {beside_s:.3g} s: it works, or its threads spin, while nothing is timed"
    ]


def slowed(beside: float, alone: float) -> list[str]:
    """Warn where the baseline took longer beside it than beside a copy of itself, which changes the ratio."""
    if beside <= SLOWED * alone:
        return []
    return [
        f"the baseline took {beside:.3g} s beside it and {alone:.3g} s beside a copy of itself: it, or something since, slows "
        "the baseline down, and the ratio with it; measure it in a run of its own"
    ]


def undermined(own: float, beside: float, alone: float) -> str:
    """Why something is not called faster, where only a slowed baseline makes it look so; else ""."""
    if beside <= SLOWED * alone or own < alone:
        return ""
    return (
        f"it takes {own:.3g} s, and the baseline {beside:.3g} s beside it but {alone:.3g} s without it: "
        "what looks faster is a baseline slowed down"
    )


def kept_results(own: Prepared, other: Prepared | None, seconds: Callable[[Callable[[], Any]], float]) -> str:
    """Warn where repeated inputs are much faster than new ones for it, and not for the baseline."""
    found = [_new_and_repeated(prepared, seconds) for prepared in (own, other) if prepared is not None]
    if found[0] is None or any(pair is not None and pair[0] > LONG_S for pair in found):
        return ""
    (new, repeated), beside = found[0], found[1] if len(found) > 1 else None
    usual = beside[0] / beside[1] if beside else 1.0
    if new <= REMEMBERED * max(usual, 1.0) * repeated:
        return ""
    return (
        f"inputs that it has just seen take it {repeated:.3g} s, new ones {new:.3g} s: it keeps results, and its speed with "
        "a warm cache is not that of the work"
    )


def _new_and_repeated(prepared: Prepared, seconds: Callable[[Callable[[], Any]], float]) -> tuple[float, float] | None:
    """Least seconds on new inputs and on the same ones again; None where inputs cannot be renewed."""
    if prepared.renew is None:
        return None
    new, repeated = [], []
    for number in range(TRIES):
        prepared.renew(3 * SEEDS_APART + number)
        new.append(seconds(prepared.run))
        if new[-1] > LONG_S:
            return new[-1], new[-1]
        repeated.append(seconds(prepared.run))
    return min(new), min(repeated)
