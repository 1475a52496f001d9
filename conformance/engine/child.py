"""Run one implementation in a process of its own, within limits of processor time and memory.

The process is a session of its own. It gets a pair of sockets and none of this process's files. What it does to itself (a
crash, an exit, a blow-up of memory) ends it alone, and the next call starts another, as `fork_server` does.

Processor time is that of the busiest thread: an endless loop has one, and a machine with many cores gives many. Memory is
watched and not reserved: libraries reserve far more than they use.
"""

from __future__ import annotations

import contextlib
import os
import re
import select
import signal
import socket
import struct
import time
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from conformance.engine.check import LINE
from conformance.engine.fork_server import Fork, ForkServer
from conformance.engine.isolation import interrupts_held_back
from conformance.engine.time_limit import (
    NoAnswer,
    TimeLimitExceeded,
    Watch,
    ended,
    group_seconds,
    others_of_session,
    watch_of_group,
)

HEADER = struct.Struct("<QQ")
"""Before each message stand its number of bytes, and the number of the question, which the answer repeats."""

MOST_SILENCES = 3
"""So often in a row is a process started again that had to be ended because it did not answer."""

START_S = 600.0
"""Processor seconds that an import may take at least: it may compile something."""
_LOOK_S = 0.2
_IDLE_S = 300.0
"""Seconds of the clock in which a call must use some processor time. Compilers and devices are waited for that long."""
_END_S = 5.0
"""Seconds in which the end of a process is waited for that has closed its socket."""
_PROC = Path("/proc")


class ChildEndedError(Exception):
    """The process of an implementation ended, or was ended, before it answered. The message says how."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        setattr(self, LINE, message)  # which line of this file it is says nothing


@dataclass(frozen=True)
class Limits:
    """What one call may take: processor seconds of its busiest thread, and bytes of memory in use by its process."""

    seconds: float
    memory: float

    @classmethod
    def of_this_machine(cls) -> Limits:
        """GAUGEBLOCK_CALL_SECONDS, else 300; and GAUGEBLOCK_CALL_GIB, else half of the machine's memory."""
        seconds = float(os.environ.get("GAUGEBLOCK_CALL_SECONDS") or 300.0)
        named = os.environ.get("GAUGEBLOCK_CALL_GIB")
        return cls(seconds, float(named) * 2**30 if named else _memory_of_this_machine() / 2)


class Child:
    """The process of one implementation; `call` sends it a message.

    ``modules`` are imported before it is forked. ``generation`` counts the processes: what lived in one is gone in the next.
    """

    def __init__(self, limits: Limits, server: ForkServer) -> None:
        self.limits = limits
        self.modules: tuple[str, ...] = ()
        self.generation = 0
        self._server = server
        self._silences = 0
        self._running: _LiveChild | None = None

    @property
    def pid(self) -> int:
        """The number of the process; it is started where none runs."""
        self.start()
        assert self._running is not None
        return self._running.process.pid

    @property
    def took_s(self) -> float:
        """Seconds of this process's clock from when the last message was sent to when its answer was here, whole."""
        return self._running.took_s if self._running is not None else 0.0

    def start(self) -> None:
        """Start a process where none runs."""
        if self._running is not None and self._running.process.poll() is None and self._running.at_rest:
            return
        self.close()
        if self._silences >= MOST_SILENCES:
            raise ChildEndedError(f"not asked, since its process had to be ended {self._silences} times in a row")
        self.generation += 1
        try:
            self._running = _LiveChild(*self._server.fork(self.modules))
        except OSError as error:
            raise ChildEndedError(f"could not be given a process: {error}") from None

    def call(self, message: bytes, answered: Callable[[bytes], bytes | None], at_least: float = 0.0) -> None:
        """Send a message, and give what comes back to ``answered``, whose result is sent in turn, until that is None.

        ``at_least`` are seconds of processor time that this call may take whatever the limit.
        ChildEndedError where the process dies, TimeLimitExceeded or NoAnswer where it had to be ended.
        """
        self.start()
        running = self._running
        assert running is not None
        running.at_rest = False
        watch = _Looks(running.process, replace(self.limits, seconds=max(self.limits.seconds, at_least)))
        try:
            to_send: bytes | None = message
            while to_send is not None:
                to_send = answered(running.exchange(to_send, watch, self.limits.memory))
        except (TimeLimitExceeded, NoAnswer):
            self._silences += 1
            raise
        finally:
            if to_send is not None:
                self.close()  # whatever state it is in now, the next call must not see it
        if not at_least:
            self._silences = 0
        running.at_rest = True

    def close(self) -> None:
        """End the process, if there is one, with all of its session."""
        # An interrupt must not come when nothing refers to it any more, and it has not ended yet.
        with interrupts_held_back():
            running, self._running = self._running, None
            if running is not None:
                running.end()


@dataclass(eq=False)
class _LiveChild:
    process: Fork
    socket: socket.socket
    at_rest: bool = True
    """Whether the last call was answered to its end."""
    asked: int = 0
    took_s: float = 0.0
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self.socket.setblocking(False)
        # At the exit of the interpreter too; holds the process and not self.
        self.end = weakref.finalize(self, _end, self.process, self.socket, os.getpid())

    def exchange(self, message: bytes, watch: _Looks, most: float) -> bytes:
        """Send a message, and return the one that comes back; ``watch`` looks now and then, and may raise."""
        self.asked += 1
        to_send = memoryview(HEADER.pack(len(message), self.asked) + message)
        received, size = bytearray(), -1
        began = time.perf_counter()
        while size < 0 or len(received) < size:
            self._poll.register(self.socket, select.POLLIN | (select.POLLOUT if to_send else 0))
            ready = self._poll.poll(_LOOK_S * 1000)
            if any(events & select.POLLOUT for _, events in ready):
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    to_send = to_send[self.socket.send(to_send[: 1 << 20]) :]
            if any(events & ~select.POLLOUT for _, events in ready):
                received += self._received()
            if size < 0 and len(received) >= HEADER.size:
                size, number = HEADER.unpack_from(received)
                del received[: HEADER.size]
                if size > most:
                    raise ChildEndedError(f"its process announced an answer of {size / 2**30:.0f} GiB")
                if number != self.asked:
                    raise ChildEndedError("its process answered another question than the one it was asked")
            if watch.looked() and self.process.poll() is not None and not self._poll.poll(0):
                raise self._death()
        self.took_s = time.perf_counter() - began
        if len(received) > size:
            raise ChildEndedError("its process wrote more than one answer")
        return bytes(received)

    def _received(self) -> bytes:
        try:
            data = self.socket.recv(1 << 20)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            data = b""
        if not data:
            raise self._death()
        return data

    def _death(self) -> ChildEndedError:
        """How the process ended, in words."""
        until = time.monotonic() + _END_S
        while (code := self.process.poll()) is None and time.monotonic() < until:
            time.sleep(0.01)
        if code is None:
            how = "closed its connection"
        else:
            how = ended(code, "exit status")
        return ChildEndedError(f"its process {how} before it answered")


class _Looks:
    """Looks at a process during one call: at the memory of its session, its processor time, and whether it does anything.

    One clock for all messages of the call: a process that asks again and again would otherwise never be looked at.
    """

    def __init__(self, process: Fork, limits: Limits) -> None:
        self._pid, self._limits = process.pid, limits
        self._watches: tuple[Watch, Watch] | None = None
        self._next = time.monotonic() + _LOOK_S

    def looked(self) -> bool:
        """Look where it is time to; whether it was."""
        if time.monotonic() < self._next:
            return False
        self.look()
        self._next = time.monotonic() + _LOOK_S
        return True

    def look(self) -> None:
        """ChildEndedError, TimeLimitExceeded or NoAnswer where it is time to end the process."""
        if (used := _memory_of(self._pid)) > self._limits.memory:
            raise ChildEndedError(
                f"its process, with those that it started, used {used / 2**30:.1f} GiB of memory, more than "
                f"{self._limits.memory / 2**30:.1f} GiB; GAUGEBLOCK_CALL_GIB sets the limit"
            )
        if self._watches is None:  # most calls end before the first look
            self._watches = (
                Watch(
                    lambda: busiest_thread_seconds(self._pid), self._limits.seconds, float("inf"), "GAUGEBLOCK_CALL_SECONDS"
                ),
                watch_of_group(self._pid, float("inf"), _IDLE_S),
            )
        for watch in self._watches:
            watch.look()


def _end(process: Fork, connection: socket.socket, owner: int) -> None:
    """Kill a process and its session, reap it, close its socket."""
    if os.getpid() != owner:
        return  # a fork of this process, to which the other does not belong
    with interrupts_held_back():
        connection.close()
        for kill in (os.kill, os.killpg):  # perhaps it has not made its session yet
            with contextlib.suppress(ProcessLookupError, PermissionError):
                kill(process.pid, signal.SIGKILL)
        while process.poll() is None:
            time.sleep(0.001)


def busiest_thread_seconds(pid: int) -> float:
    """The processor time of the thread of a process and its session that has used most; of its group without /proc."""
    if not (_PROC / "self/stat").exists():
        return group_seconds(pid)
    ticks = 0
    for stat in (stat for each in (pid, *others_of_session(pid)) for stat in (_PROC / str(each) / "task").glob("*/stat")):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()
            ticks = max(ticks, int(fields[11]) + int(fields[12]))
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def _memory_of(pid: int) -> float:
    """Bytes of memory that a process and others of its session have in use; 0 where there is no /proc."""
    try:
        own = int((_PROC / str(pid) / "statm").read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    except (OSError, IndexError):
        return 0.0
    return own + sum(map(_own_share, others_of_session(pid)))


def _own_share(pid: int) -> float:
    """Bytes of memory in use by a process; what several have in common is divided among them."""
    try:
        found = re.search(r"^Pss:\s+(\d+) kB", (_PROC / str(pid) / "smaps_rollup").read_text(), re.MULTILINE)
    except OSError:
        return 0.0
    return int(found[1]) * 1024.0 if found else 0.0


def _memory_of_this_machine() -> float:
    """Bytes: what the machine has, or what this process's control group may use where that is less."""
    found = [float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):
            found.append(float(Path(file).read_text()))
    return min(found)


def is_possible() -> bool:
    """Whether this system has what it takes: sockets that a new process inherits, and sessions."""
    return os.name == "posix" and hasattr(select, "poll")
