"""Start processes as forks of one fresh interpreter, which has imported what takes long, and has computed nothing.

What is tested is imported in the forks alone. So a fork costs milliseconds where an import of torch costs seconds, and it has
none of the suite's values in its memory. The interpreter ends with the suite, and its forks end with it.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from conformance.engine.confinement import Confinement, path_from_anywhere, remove
from conformance.engine.isolation import interrupts_held_back
from conformance.engine.parent_death import die_with_parent

LONGEST_IMPORT_S = 600.0
"""Seconds of the clock in which the server must answer."""
_LONGEST_REQUEST = 1 << 16


class ForkServer:
    """Makes forks that run ``serve(socket)`` of a module. It is started with the first, and again where it has died."""

    def __init__(self, module: str, confinement: Confinement) -> None:
        self._module, self._confinement = module, confinement
        self._running: _RunningServer | None = None

    def fork(self, modules: Sequence[str]) -> tuple[Fork, socket.socket]:
        """A new process, forked once these modules are imported, and the socket to it. OSError where there is none."""
        if self._running is None or not self._running.is_alive:
            self.close()
            self._running = _RunningServer(self._module, self._confinement)
        ours, theirs = socket.socketpair()
        with theirs:
            pid = self._running.ask(["fork", *modules], theirs.fileno())
        if pid is None:
            self.close()
            ours.close()
            raise OSError("the process that starts the others has ended")
        return Fork(pid, self._running.number_here(pid), self._running), ours

    def close(self) -> None:
        """End the interpreter, and with it all forks."""
        running, self._running = self._running, None
        if running is not None:
            running.end()


class _RunningServer:
    def __init__(self, module: str, confinement: Confinement) -> None:
        self._connection, theirs = socket.socketpair()
        program = (
            "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from conformance.engine.fork_server import main; "
            "main(int(sys.argv[2]), sys.argv[3])"
        )
        with theirs:
            self._process, folder = confinement.start(
                [sys.executable, "-c", program, json.dumps(path_from_anywhere()), str(theirs.fileno()), module],
                theirs.fileno(),
            )
        self._apart = "namespace" in confinement.kinds
        self._connection.settimeout(LONGEST_IMPORT_S)
        self.end = weakref.finalize(self, _end, self._process, self._connection, folder, os.getpid())

    @property
    def is_alive(self) -> bool:
        return self.end.alive and self._process.poll() is None

    def number_here(self, pid: int) -> int:
        """The number that a fork has here; in a namespace of its own the server knows another."""
        if not self._apart:
            return pid
        (server,) = _children_of(self._process.pid)
        return next(
            each for each in _children_of(server) if f"NSpid:\t{each}\t{pid}\n" in Path(f"/proc/{each}/status").read_text()
        )

    def ask(self, request: list[Any], *descriptors: int) -> int | None:
        """The number that it answers; None where it has ended, or does not answer, for which it is ended."""
        with interrupts_held_back():
            try:
                self._process.send_signal(signal.SIGCONT)  # one of its forks may have stopped it
                socket.send_fds(self._connection, [json.dumps(request).encode()], descriptors)
                answer = self._connection.recv(_LONGEST_REQUEST)
            except OSError:
                answer = b""
                self._process.kill()  # an answer that comes late would be taken for the next one
        found: int | None = json.loads(answer) if answer else None
        return found


class Fork:
    """A process that the server has forked; ``pid`` is its number here."""

    def __init__(self, number: int, pid: int, server: _RunningServer) -> None:
        self.pid = pid
        self._number, self._server = number, server
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it lives."""
        if self._code is None and _has_ended(self.pid):
            status = self._server.ask(["status", self._number])
            self._code = -signal.SIGKILL if status is None else os.waitstatus_to_exitcode(status)
        return self._code


def _has_ended(pid: int) -> bool:
    """Whether a process is gone, or would be if the one that made it had waited for it."""
    try:
        with contextlib.suppress(PermissionError):  # it belongs to another user
            os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except ProcessLookupError:
        return True
    except OSError:  # there is no /proc, or it ended in between
        return Path("/proc/self").exists()


def _children_of(pid: int) -> list[int]:
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _end(process: subprocess.Popen[bytes], connection: socket.socket, folder: str, owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of this process, to which the server does not belong
    with interrupts_held_back():
        connection.close()
        process.kill()
        process.wait()
        remove(folder)


def main(descriptor: int, module: str) -> None:
    """Serve in a fresh interpreter, on an inherited socket, until the other side closes it."""
    die_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    serve: Callable[[socket.socket], None] = importlib.import_module(module).serve
    with socket.socket(fileno=descriptor) as connection:
        _Forks(connection, serve).answer_all()


class _Forks:
    """The forks of this interpreter, and how those ended that have."""

    def __init__(self, connection: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        self._connection, self._serve = connection, serve
        self._living: set[int] = set()
        self._ended: dict[int, int] = {}

    def answer_all(self) -> None:
        # At once, so that whoever asks for a signal to be sent to a process sees that it has ended.
        signal.signal(signal.SIGCHLD, lambda number, frame: self._reap())
        while True:
            message, descriptors, _, _ = socket.recv_fds(self._connection, _LONGEST_REQUEST, 1)
            if not message:
                return
            what, *rest = json.loads(message)
            self._reap()
            answer = self._fork(descriptors[0], rest) if what == "fork" else self._ended.get(rest[0])
            self._connection.sendall(json.dumps(answer).encode())

    def _fork(self, descriptor: int, modules: Sequence[str]) -> int:
        for name in modules:
            with contextlib.suppress(BaseException):  # whoever needs it tells why it cannot be imported
                importlib.import_module(name)
        pid = os.fork()
        if pid == 0:
            try:
                os.setsid()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                self._serve(socket.socket(fileno=descriptor))
            finally:
                os._exit(0)  # never back into what called
        os.close(descriptor)
        self._living.add(pid)
        return pid

    def _reap(self) -> None:
        for pid in tuple(self._living):
            with contextlib.suppress(ChildProcessError):
                found, status = os.waitpid(pid, os.WNOHANG)
                if found:
                    self._ended[pid] = status
                    self._living.discard(pid)
