"""Limit the processor time of a call or of a process. What the machine does besides must not decide a verdict.

Processor time is what the work itself takes, on a quiet machine as on a busy one. Something that waits for ever uses none: it
is ended once it has used less than a hundredth of the time for half a minute. That is no wrong answer but none. What waits for
a processor most of that time would compute if it could, and goes on.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

IDLE_S = 30.0
"""Seconds of the clock after which something that computes nothing is given up."""
WORKING = 0.01
"""The share of those that even a very busy machine gives to something that computes."""
LOOK_S = 0.5
"""Seconds of the clock between two looks at the processor time of another process."""
MOST_STOPS = 10
"""At so many looks in a row all processes of a group may be stopped by a signal."""


class TimeLimitExceeded(Exception):
    """An answer took more processor time than its limit."""


class NoAnswer(Exception):
    """Something neither answered nor computed: it waits for what does not come."""


@contextlib.contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise in the body after ``seconds`` of processor time, or where it waits; on POSIX, in the main thread.

    TimeLimitExceeded for the one, NoAnswer for the other. An outer limit goes on. `re` notices signals while it
    backtracks, so a catastrophic pattern is interrupted too. Elsewhere, and for inf, there is no limit.
    """
    supported = hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()
    if not supported or seconds == float("inf"):
        yield
        return
    watch = Watch(time.process_time, seconds, queued=queued_seconds)

    def spent(signum: int, frame: Any) -> None:
        raise TimeLimitExceeded(watch.exceeded)

    def look(signum: int, frame: Any) -> None:
        watch.look()

    with (
        _timer(signal.ITIMER_PROF, signal.SIGPROF, seconds, 0.0, spent, time.process_time),
        _timer(signal.ITIMER_REAL, signal.SIGALRM, IDLE_S, IDLE_S, look, time.monotonic),
    ):
        yield


@contextlib.contextmanager
def _timer(
    kind: int, number: signal.Signals, delay: float, interval: float, handler: Callable[..., None], clock: Callable[[], float]
) -> Iterator[None]:
    """Call the handler after the delay, then at each interval; afterwards the timer that ran before goes on."""
    previous_handler = signal.signal(number, handler)
    started = clock()
    previous_delay, previous_interval = signal.setitimer(kind, delay, interval)
    try:
        yield
    finally:
        signal.setitimer(kind, 0)
        signal.signal(number, previous_handler)
        if previous_delay:
            signal.setitimer(kind, max(previous_delay - (clock() - started), 1e-3), previous_interval)


class Watch:
    """Watches the processor time ``used`` since now. `look` raises where it is above the limit, or hardly grows.

    ``idle`` is `IDLE_S` or another number of seconds; ``setting`` is the variable that sets the limit; ``queued`` is the time
    spent waiting for a processor, as far as it is known; ``is_stopped`` says whether a signal has stopped what is watched.
    """

    def __init__(
        self,
        used: Callable[[], float],
        seconds: float,
        idle: float | None = None,
        setting: str = "GAUGEBLOCK_TEXT_SECONDS",
        queued: Callable[[], float] = lambda: 0.0,
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> None:
        self._used, self._queued, self._seconds, self._setting = used, queued, seconds, setting
        self._is_stopped, self._stops = is_stopped, 0
        self._idle = IDLE_S if idle is None else idle
        self._began = self._seen = used()
        self._seen_queued = queued()
        self._seen_at = time.monotonic()

    @property
    def exceeded(self) -> str:
        return f"no answer within {self._seconds:g} s of processor time ({self._setting} sets the limit)"

    def look(self) -> None:
        """TimeLimitExceeded or NoAnswer where it is time to give up."""
        used, now = self._used(), time.monotonic()
        if used - self._began > self._seconds:
            raise TimeLimitExceeded(self.exceeded)
        self._stops = self._stops + 1 if self._is_stopped() else 0
        if self._stops == MOST_STOPS:
            raise NoAnswer("no answer: its process was stopped by a signal, and nothing has continued it")
        waited = now - self._seen_at
        if waited >= self._idle:
            queued = self._queued()
            if used - self._seen < WORKING * waited and queued - self._seen_queued < waited / 2:
                raise NoAnswer(f"no answer, and hardly any processor time used in {waited:.0f} s: it waits for something")
            self._seen, self._seen_at, self._seen_queued = used, now, queued


def watch_of_group(group: int, seconds: float, idle: float | None = None, setting: str = "GAUGEBLOCK_TEXT_SECONDS") -> Watch:
    """Watches all processes of a group, which may wait for a processor as well as use one."""
    return Watch(
        lambda: group_seconds(group),
        seconds,
        idle,
        setting,
        lambda: group_queued_seconds(group),
        lambda: group_is_stopped(group),
    )


def wait(process: subprocess.Popen[Any], seconds: float) -> int:
    """The exit code of a process that leads a group, within so much processor time; otherwise an error as of `Watch`."""
    watch = watch_of_group(process.pid, seconds)
    while True:
        try:
            return process.wait(LOOK_S)
        except subprocess.TimeoutExpired:
            watch.look()


def ended(code: int, word: str) -> str:
    """How a process ended, by its exit code, which is called by this word; a negative one is that of a signal."""
    if code >= 0:
        return f"ended with {word} {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"  # most real-time signals have no name


def queued_seconds(schedstat: Path = Path("/proc/self/schedstat")) -> float:
    """The time that a thread has waited for a processor, this process's main one; 0 where the system does not say."""
    try:
        return int(schedstat.read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def group_queued_seconds(group: int) -> float:
    """The time that all live threads of a group have waited for a processor, together; 0 where the system does not say."""
    if not Path("/proc/self/stat").exists():
        return 0.0
    return sum(
        queued_seconds(thread)
        for stat, fields in _stats()
        if int(fields[2]) == group
        for thread in stat.parent.glob("task/*/schedstat")
    )


def group_seconds(group: int) -> float:
    """The processor time of all live processes of a group, and of those that they have waited for."""
    if not Path("/proc/self/stat").exists():
        listed = subprocess.run(["ps", "-A", "-o", "pgid=,time="], capture_output=True, text=True, check=False).stdout
        rows = [line.split() for line in listed.splitlines()]
        return sum(_clock_seconds(row[1]) for row in rows if len(row) == 2 and row[0] == str(group))
    ticks = sum(sum(map(int, fields[11:15])) for _, fields in _stats() if int(fields[2]) == group)
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def group_is_stopped(group: int) -> bool:
    """Whether a signal has stopped all live processes of a group; False where the system does not say."""
    states = [fields[0] for _, fields in _stats() if int(fields[2]) == group and fields[0] != "Z"]
    return bool(states) and set(states) == {"T"}


def others_of_session(leader: int) -> list[int]:
    """The live processes of the session that a process leads, without itself."""
    own = [int(stat.parent.name) for stat, fields in _stats() if int(fields[3]) == leader and fields[0] != "Z"]
    return [each for each in own if each != leader]


def _stats() -> Iterator[tuple[Path, list[str]]]:
    """Of each process its file in /proc, and what that holds behind the name."""
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            yield stat, stat.read_text().rpartition(")")[2].split()  # the name before it may hold anything


def _clock_seconds(text: str) -> float:
    """The seconds of ``[[days-]hours:]minutes:seconds``."""
    days, _, clock = text.rpartition("-")
    total = 0.0
    for part in clock.split(":"):
        total = 60 * total + float(part)
    return total + 86400 * int(days or 0)
