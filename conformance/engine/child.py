"""Run one implementation in a process of its own, within limits of processor time and memory.

The process is a session of its own. It gets a pair of sockets and none of this process's files. What it does to itself (a
crash, an exit, a blow-up of memory) ends it alone, and the next call starts another. The first may be a fork of this process,
which costs nothing, where that is safe: before torch or JAX were imported, whose threads do not outlive a fork. Any later one
is a fresh interpreter, so that nothing that this process has computed since is in its memory.

Processor time is that of the busiest thread: an endless loop has one, and a machine with many cores gives many. Memory is
watched and not reserved: libraries reserve far more than they use.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

from conformance.engine.check import LINE
from conformance.engine.isolation import interrupts_held_back
from conformance.engine.time_limit import NoAnswer, TimeLimitExceeded, Watch, group_seconds

SIZE = struct.Struct("<Q")
"""Before each message stands its number of bytes."""

MOST_SILENCES = 3
"""So often in a row is a process started again that had to be ended because it did not answer."""

START_S = 600.0
"""Processor seconds that an import may take at least: it may compile something."""
_LOOK_S = 0.2
_IDLE_S = 300.0
"""Seconds of the clock in which a call must use some processor time. Compilers and devices are waited for that long."""
_END_S = 5.0
"""Seconds in which the end of a process is waited for that has closed its socket."""
_THREADED = ("torch", "jax", "tensorflow", "cupy")
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


class _Process(Protocol):
    """What a fork and a `subprocess.Popen` have in common."""

    pid: int

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""


class Child:
    """The process of one implementation. ``serve`` is what it runs with its socket; `call` sends it a message.

    ``generation`` counts the processes: what lived in one is gone in the next.
    """

    def __init__(self, limits: Limits, serve: Callable[[socket.socket], None], module: str) -> None:
        self.limits = limits
        self.generation = 0
        self._serve, self._module = serve, module
        self._silences = 0
        self._running: _LiveChild | None = None

    def start(self) -> None:
        """Start a process where none runs."""
        if self._running is not None and self._running.process.poll() is None and self._running.at_rest:
            return
        self.close()
        if self._silences >= MOST_SILENCES:
            raise ChildEndedError(f"not asked, since its process had to be ended {self._silences} times in a row")
        may_fork = self.generation == 0 and sys.platform == "linux" and not any(name in sys.modules for name in _THREADED)
        self.generation += 1
        if may_fork and threading.active_count() == 1:
            self._running = _forked(self._serve)
        else:
            self._running = _spawned(self._module)

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
                to_send = answered(running.exchange(to_send, watch.look, self.limits.memory))
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
        running, self._running = self._running, None
        if running is not None:
            running.end()


@dataclass(eq=False)
class _LiveChild:
    process: _Process
    socket: socket.socket
    at_rest: bool = True
    """Whether the last call was answered to its end."""
    _poll: select.poll = field(default_factory=select.poll)

    def __post_init__(self) -> None:
        self.socket.setblocking(False)
        # At the exit of the interpreter too; holds the process and not self.
        self.end = weakref.finalize(self, _end, self.process, self.socket, os.getpid())

    def exchange(self, message: bytes, look: Callable[[], None], most: float) -> bytes:
        """Send a message, and return the one that comes back; ``look`` is called now and then, and may raise."""
        to_send = memoryview(SIZE.pack(len(message)) + message)
        received, size = bytearray(), -1
        next_look = time.monotonic() + _LOOK_S
        while size < 0 or len(received) < size:
            self._poll.register(self.socket, select.POLLIN | (select.POLLOUT if to_send else 0))
            ready = self._poll.poll(_LOOK_S * 1000)
            if any(events & select.POLLOUT for _, events in ready):
                with contextlib.suppress(BlockingIOError, BrokenPipeError, ConnectionResetError):
                    to_send = to_send[self.socket.send(to_send[: 1 << 20]) :]
            if any(events & ~select.POLLOUT for _, events in ready):
                received += self._received()
            if size < 0 and len(received) >= SIZE.size:
                (size,) = SIZE.unpack_from(received)
                del received[: SIZE.size]
                if size > most:
                    raise ChildEndedError(f"its process announced an answer of {size / 2**30:.0f} GiB")
            if time.monotonic() >= next_look:
                look()
                if self.process.poll() is not None and not self._poll.poll(0):
                    raise self._death()
                next_look = time.monotonic() + _LOOK_S
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
        elif code < 0:
            how = f"was ended by {signal.Signals(-code).name}"
        else:
            how = f"ended with exit status {code}"
        return ChildEndedError(f"its process {how} before it answered")


class _Looks:
    """Looks at a process during one call: at its memory, its processor time, and whether it does anything."""

    def __init__(self, process: _Process, limits: Limits) -> None:
        self._pid, self._limits = process.pid, limits
        self._watches: tuple[Watch, Watch] | None = None

    def look(self) -> None:
        """ChildEndedError, TimeLimitExceeded or NoAnswer where it is time to end the process."""
        if (used := _memory_of(self._pid)) > self._limits.memory:
            raise ChildEndedError(
                f"its process used {used / 2**30:.1f} GiB of memory, more than {self._limits.memory / 2**30:.1f} GiB; "
                f"GAUGEBLOCK_CALL_GIB sets the limit"
            )
        if self._watches is None:  # most calls end before the first look
            self._watches = (
                Watch(
                    lambda: busiest_thread_seconds(self._pid), self._limits.seconds, float("inf"), "GAUGEBLOCK_CALL_SECONDS"
                ),
                Watch(lambda: group_seconds(self._pid), float("inf"), _IDLE_S),
            )
        for watch in self._watches:
            watch.look()


@dataclass(eq=False)
class _Fork:
    pid: int
    _code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            found, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if found else None
        return self._code


def _forked(serve: Callable[[socket.socket], None]) -> _LiveChild:
    ours, theirs = socket.socketpair()
    sys.stdout.flush()
    sys.stderr.flush()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of the threads of linear algebra, which look after themselves
        pid = os.fork()
    if pid:
        theirs.close()
        return _LiveChild(_Fork(pid), ours)
    try:
        os.setsid()
        serve(theirs)
    finally:
        os._exit(0)  # never back into what called


def _spawned(module: str) -> _LiveChild:
    ours, theirs = socket.socketpair()
    with theirs:
        program = f"import json, sys; sys.path[:] = json.loads(sys.argv[1]); from {module} import main; main(int(sys.argv[2]))"
        process = subprocess.Popen(
            [sys.executable, "-c", program, json.dumps(sys.path), str(theirs.fileno())],
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
    return _LiveChild(process, ours)


def _end(process: _Process, connection: socket.socket, owner: int) -> None:
    """Kill a process and its session, reap it, close its socket."""
    if os.getpid() != owner:
        return  # a fork of this process, to which the other does not belong
    with interrupts_held_back():
        connection.close()
        if process.poll() is None:
            os.kill(process.pid, signal.SIGKILL)  # perhaps before it has made its session
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        while process.poll() is None:
            time.sleep(0.001)


def busiest_thread_seconds(pid: int) -> float:
    """The processor time of the thread of a process that has used most; that of its group where there is no /proc."""
    if not (_PROC / "self/stat").exists():
        return group_seconds(pid)
    ticks = 0
    for stat in (_PROC / str(pid) / "task").glob("*/stat"):
        with contextlib.suppress(OSError):  # it has ended
            fields = stat.read_text().rpartition(")")[2].split()
            ticks = max(ticks, int(fields[11]) + int(fields[12]))
    return ticks / float(os.sysconf("SC_CLK_TCK"))


def _memory_of(pid: int) -> float:
    """Bytes of memory that a process has in use; 0 where there is no /proc."""
    try:
        return int((_PROC / str(pid) / "statm").read_text().split()[1]) * float(os.sysconf("SC_PAGE_SIZE"))
    except (OSError, IndexError):
        return 0.0


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
