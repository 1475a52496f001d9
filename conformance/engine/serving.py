"""The side of an isolated implementation: what its process runs. It connects the subject, and answers calls of its methods.

A message to it is an ordinary pickle, since it comes from the suite. What it answers is plain data (see `plain_data`)::

    ("value", x)                                  the method returned x
    ("object", number, methods, attributes)       it returned something that stays here; its methods are called by number
    ("error", classes, text, line)                it raised; the names of its class and that class's bases, and its last line
    ("ask", number, arguments)                    a function that came with the call is called: the next message is its result
"""

from __future__ import annotations

import contextlib
import faulthandler
import io
import os
import pickle
import signal
import socket
import sys
import threading
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from conformance.engine import plain_data
from conformance.engine.check import last_line
from conformance.engine.child import HEADER
from conformance.engine.discovery import Described, described
from conformance.engine.harness import CONNECTED_ELSEWHERE, connect, records_of
from conformance.engine.isolation import interrupts_held_back
from conformance.engine.parent_death import die_with_parent
from conformance.engine.plain_data import Records
from impls.implementation import Implementation, PlugError


def serve(connection: socket.socket) -> None:
    """Answer until the other side closes the socket."""
    _be_alone(connection)
    CONNECTED_ELSEWHERE.clear()
    server = _Server(connection)
    while (message := server.receive()) is not None:
        server.send(server.answer(message))
        with contextlib.suppress(Exception):
            sys.stdout.flush()
    os._exit(0)  # whatever threads are left


class Root:
    """What the suite calls first: object 0."""

    def describe(self, system: str | None, target: str, spec: str) -> Described:
        """See `conformance.engine.discovery.described`, which imports what is tested."""
        return described(system, target, spec)

    def connect(self, implementation: Implementation, device: str) -> Any:
        """The subject of an implementation."""
        return connect(implementation, device)

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of a module of the suite returns here."""
        return function(*arguments)


class _Server:
    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._objects: dict[int, Any] = {0: Root()}
        self._next = 1
        self._asked = 0
        self._asking = threading.Lock()
        self._records: dict[str, type] = dict(records_of(""))

    def receive(self) -> bytes | None:
        """The next message; None at the end."""
        header = self._read(HEADER.size)
        if header is None:
            return None
        size, self._asked = HEADER.unpack(header)
        return self._read(size)

    def send(self, message: bytes) -> None:
        # At once: two parts would wake the other side twice.
        self._connection.sendall(HEADER.pack(len(message), self._asked) + message)

    def answer(self, message: bytes) -> bytes:
        """Do what a message asks, and describe the result."""
        try:
            number, name, arguments, dropped = _MessageReader(io.BytesIO(message), self).load()
            for each in dropped:
                self._objects.pop(each, None)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = getattr(self._objects[number], name)(*arguments)
            if name == "connect" and number == 0:
                self._records.update(records_of(arguments[0].system))
            if plain_data.is_plain(result, self._records):
                return self._written(("value", result), name)
            return self._written(("object", self._keep(result), *_described(result, self._records)), name)
        except BaseException as error:
            classes = [f"{kind.__module__}.{kind.__qualname__}" for kind in type(error).__mro__]
            return plain_data.written(("error", classes, _text(error), last_line(error)), {})

    def ask(self, number: int, arguments: Iterable[Any]) -> Any:
        """Call a function of the other side. What is tested may do so from several threads at once."""
        with self._asking, interrupts_held_back():
            self.send(plain_data.written(("ask", number, tuple(arguments)), self._records))
            answer = self.receive()
        if answer is None:
            os._exit(0)
        returned, value = pickle.loads(answer)
        if not returned:
            raise value
        return value

    def _written(self, answer: tuple[Any, ...], name: str) -> bytes:
        try:
            return plain_data.written(answer, self._records)
        except plain_data.NotPlainError as error:
            if name != "describe":
                raise
            raise PlugError(
                f"its declaration cannot leave its process: {error}; give names and numbers, or test it with --in-process"
            ) from None

    def _keep(self, result: Any) -> int:
        self._objects[self._next] = result
        self._next += 1
        return self._next - 1

    def _read(self, count: int) -> bytes | None:
        data = bytearray()
        while len(data) < count:
            if not (chunk := self._connection.recv(min(count - len(data), 1 << 20))):
                return None
            data += chunk
        return bytes(data)


class _MessageReader(pickle.Unpickler):
    """Reads a message, in which a number stands for each function of the other side."""

    def __init__(self, file: io.BytesIO, server: _Server) -> None:
        super().__init__(file)
        self._server = server

    def persistent_load(self, number: Any) -> Any:
        return lambda *arguments: self._server.ask(number, arguments)


def _described(result: Any, records: Records) -> tuple[list[str], dict[str, Any]]:
    """The public methods of an object, and those of its public attributes that can be carried."""
    methods, attributes = [], {}
    for name in dir(result):
        if name.startswith("_"):
            continue
        with contextlib.suppress(Exception):
            value = getattr(result, name)
            if callable(value):
                methods.append(name)
            else:
                plain_data.written(value, records)
                attributes[name] = value
    return methods, attributes


def _text(error: BaseException) -> str:
    try:
        return str.__str__(str(error))
    except Exception:
        return f"its error, a {type(error).__name__}, cannot be shown"


def _be_alone(connection: socket.socket) -> None:
    """Let go of what a fork inherits: files, signal handlers, the streams' objects; and end when the suite's process does."""
    parent = os.getppid()
    die_with_parent()
    if os.getppid() != parent:
        os._exit(0)
    for number in (signal.SIGTERM, signal.SIGALRM, signal.SIGPROF):
        signal.signal(number, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    faulthandler.disable()
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    keep = connection.fileno()
    os.closerange(3, keep)
    os.closerange(keep + 1, os.sysconf("SC_OPEN_MAX"))
    for name, descriptor, mode in (("stdin", 0, "r"), ("stdout", 1, "w"), ("stderr", 2, "w")):
        setattr(sys, name, open(descriptor, mode, 1, "utf-8", "backslashreplace", closefd=False))  # noqa: SIM115
    faulthandler.enable()
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this process ends first
