"""Test an implementation that runs in a process of its own as if it were here.

A `RemoteSubject` stands for the subject that the process has connected. It forwards each call of a method, and returns what
comes back: the same values, or an error of the same class with the same message. Expected values, comparisons and records stay
here. What an implementation declares is found out in its process too, so that nothing of it is ever imported here.

Where a process dies, that is an error of the call, and the next call gets a fresh process.
"""

from __future__ import annotations

import builtins
import functools
import io
import pickle
import types
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from conformance.engine import plain_data
from conformance.engine.check import LINE
from conformance.engine.child import START_S, Child, ChildEndedError, Limits
from conformance.engine.confinement import UNCONFINED, Confinement
from conformance.engine.discovery import Described, described
from conformance.engine.fork_server import ForkServer
from conformance.engine.harness import CONNECTED_ELSEWHERE, connect, harness_of, records_of
from conformance.engine.plain_data import NotPlainError
from conformance.engine.time_limit import NoAnswer, TimeLimitExceeded
from impls.implementation import Implementation, NotRun, Origin, PlugError, Unsupported

_OURS: tuple[type[BaseException], ...] = (Unsupported, NotRun, PlugError, TimeLimitExceeded, NoAnswer, NotPlainError)
_NOT_RAISED = (KeyboardInterrupt, GeneratorExit)
"""Errors that would end the run, or a check without a word, if they were raised again here."""

IN_THIS_PROCESS = frozenset({"built in", "command"})
"""The origins of what is ours, and of what is a process of its own anyway."""
_LONG_TO_IMPORT = {"torch": ("torch", "torch._dynamo")}
"""By what an implementation requires: modules that take seconds to import, and start no threads then."""


class Isolated:
    """The processes of a run's implementations, one for each, by the selector that names it."""

    def __init__(self, confinement: Confinement = UNCONFINED) -> None:
        self._confinement = confinement
        self._servers: list[ForkServer] = []
        self._remotes: dict[str, Remote] = {}

    def keep_apart(self, implementations: Iterable[Implementation]) -> None:
        """Give a process to each of these that is neither built in nor a command. It is started by the first test case."""
        here = IN_THIS_PROCESS - {"command"} if self._confinement else IN_THIS_PROCESS
        for each in implementations:
            if each.origin.kind not in here:
                self._give_process(each)

    def _give_process(self, implementation: Implementation) -> None:
        remote = self._remote(implementation.selector)
        remote.child.modules = (
            f"conformance.{implementation.system}.harness.subject",
            *(module for name in implementation.requires for module in _LONG_TO_IMPORT.get(name, ())),
        )

    def keep_all_apart(self, implementations: Iterable[Implementation]) -> None:
        """Give a process to each of these, where any of them is to have one: what is timed is timed in the same way."""
        every = tuple(implementations)
        if any(each.origin.kind not in IN_THIS_PROCESS for each in every):
            for each in every:
                self._give_process(each)

    def describe(self, system: str | None, target: str, spec: str, selector: str) -> Described:
        """See `discovery.described`. PlugError where it cannot be used, or where its process dies while it is imported."""
        if target.startswith("cmd:") and not self._confinement:
            return described(system, target, spec)  # it is a process of its own anyway
        try:
            found = self._remote(selector).call(0, "describe", (system, _from_anywhere(target), spec))
        except (ChildEndedError, TimeLimitExceeded, NoAnswer) as error:
            raise PlugError(f"could not be imported and looked at: {error}") from None
        implementation, declared = found if isinstance(found, tuple) and len(found) == 2 else (found, None)
        if not isinstance(implementation, Implementation):
            raise PlugError(f"its process answered {type(implementation).__name__}, expected a record of it")
        if implementation.target == _from_anywhere(target):
            implementation = replace(implementation, target=target)
        if implementation.origin.kind in IN_THIS_PROCESS:
            implementation = replace(
                implementation, origin=Origin("path" if target.rpartition(":")[0].endswith(".py") else "module")
            )
        # Its spec is that by which it is connected in its process; another would have it imported here.
        return replace(implementation, spec=spec), declared

    def _remote(self, selector: str) -> Remote:
        if selector not in self._remotes:
            if self._confinement or not self._servers:
                # What is confined has a server of its own, so that none can reach another.
                self._servers.append(ForkServer("conformance.engine.serving", self._confinement))
            remote = self._remotes[selector] = Remote(self._servers[-1])
            CONNECTED_ELSEWHERE[selector] = functools.partial(RemoteSubject, remote, confined=bool(self._confinement))
        return self._remotes[selector]

    def close(self) -> None:
        """End all processes. The implementations are then connected here, as any other."""
        for selector, remote in self._remotes.items():
            remote.child.close()
            CONNECTED_ELSEWHERE.pop(selector, None)
        self._remotes.clear()
        for server in self._servers:
            server.close()
        self._servers.clear()
        connect.cache_clear()


class Remote:
    """One process, and the calls of what lives in it."""

    def __init__(self, server: ForkServer) -> None:
        self.child = Child(Limits.of_this_machine(), server)
        self._dropped: list[tuple[int, int]] = []
        """Generation and number of objects that nobody here stands for any more."""

    def drop(self, generation: int, number: int) -> None:
        """Let an object go, with the next call."""
        self._dropped.append((generation, number))

    def call(self, number: int, name: str, arguments: Sequence[Any], system: str = "", generation: int = 0) -> Any:
        """The result of a method of object ``number``, which lives in that generation; its error is raised here."""
        try:
            return self._call(number, name, arguments, system, generation)
        except (TimeLimitExceeded, NoAnswer) as error:
            if not hasattr(error, LINE):
                setattr(error, LINE, str(error))
            raise

    def do(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """What a function of a module of the suite returns in that process."""
        return self.call(0, "do", (function, *arguments))

    def _call(self, number: int, name: str, arguments: Sequence[Any], system: str, generation: int) -> Any:
        return self._prepared(number, name, arguments, system, generation)()

    def _prepared(self, number: int, name: str, arguments: Sequence[Any], system: str, generation: int) -> Callable[[], Any]:
        """A call whose message is written already."""
        records, functions = records_of(system), list[Callable[..., Any]]()
        self.child.start()
        if number and self.child.generation != generation:
            raise ChildEndedError("its process has ended, and what lived in it with it")
        dropped = [each for since, each in self._dropped if since == self.child.generation]
        self._dropped.clear()
        message = _written((number, name, tuple(arguments), dropped), functions)

        def answered(data: bytes) -> bytes | None:
            what, *rest = plain_data.read(data, records)
            if what != "ask":
                results.append((what, *rest))
                return None
            number, given = rest
            if type(number) is not int or not 0 <= number < len(functions):
                raise ChildEndedError(
                    f"its process asked for function {number!r} of the {len(functions)} that came with the call"
                )
            return _returned(functions[number], given)

        def call() -> Any:
            results.clear()
            self.child.call(message, answered, 0.0 if number else START_S)
            ((what, *rest),) = results
            if what == "error":
                classes, text, line = rest
                raise _error(classes, text, line, records)
            return RemoteObject(self, system, *rest) if what == "object" else rest[0]

        results: list[Any] = []
        return call


class RemoteObject:
    """An object that lives in the process: its methods are called there, its plain attributes came along."""

    def __init__(
        self, remote: Remote, system: str, number: int, methods: Sequence[str], attributes: Mapping[str, Any]
    ) -> None:
        self._remote, self._system, self._number = remote, system, number
        self._methods, self._attributes = frozenset(methods), dict(attributes)
        self._generation = remote.child.generation
        weakref.finalize(self, remote.drop, self._generation, number).atexit = False

    def __getattr__(self, name: str) -> Any:
        if name in self._attributes:
            return self._attributes[name]
        if name in self._methods:
            return functools.partial(self._call, name)
        raise AttributeError(f"has no {name}")

    @property
    def remote(self) -> Remote:
        """The process in which it lives."""
        return self._remote

    def prepared(self, name: str, *arguments: Any) -> Callable[[], Any]:
        """A call of a method, with the message to its process written already: calling it sends that."""
        return self._remote._prepared(self._number, name, arguments, self._system, self._generation)

    def _call(self, name: str, *arguments: Any) -> Any:
        return self._remote.call(self._number, name, arguments, self._system, self._generation)


class RemoteSubject:
    """The subject of an implementation that runs in a process of its own; connected again wherever that is a new one.

    What its harness has ``beside`` is used here: what needs no import of the implementation, or starts processes itself. The
    latter only where it is not ``confined``, since those processes are not.
    """

    def __init__(self, remote: Remote, implementation: Implementation, device: str, *, confined: bool = False) -> None:
        self._remote, self._device = remote, device
        self._implementation = replace(implementation, target=_from_anywhere(implementation.target))
        beside = getattr(harness_of(implementation.system), "beside", None)
        found: dict[str, Any] = dict(beside(implementation, device)) if beside else {}
        self._beside = {name: value for name, value in found.items() if not (confined and callable(value))}
        self._connected = self._connect()

    def __getattr__(self, name: str) -> Any:
        if name in self._beside:
            return self._beside[name]
        value = getattr(self._connected, name)
        return functools.partial(self._call, name) if callable(value) else value

    def _call(self, name: str, *arguments: Any) -> Any:
        self._remote.child.start()
        if self._remote.child.generation != self._connected._generation:
            self._connected = self._connect()
        return getattr(self._connected, name)(*arguments)

    def _connect(self) -> RemoteObject:
        made = self._remote.call(0, "connect", (self._implementation, self._device), self._implementation.system)
        if not isinstance(made, RemoteObject):
            raise ChildEndedError(f"its process answered {type(made).__name__}, expected a subject")
        return made


def _from_anywhere(target: str) -> str:
    """The target, with a file's path made absolute: its process may run in another folder."""
    location, colon, attribute = target.rpartition(":")
    return f"{Path(location).resolve()}{colon}{attribute}" if location.endswith(".py") else target


def _returned(function: Callable[..., Any], arguments: Sequence[Any]) -> bytes:
    """What a function of a check returned or raised, for the process that asked for it."""
    try:
        return pickle.dumps((True, function(*arguments)))
    except Exception as error:
        return pickle.dumps((False, error))


def _error(classes: Sequence[str], text: str, line: str, records: Mapping[str, type]) -> BaseException:
    """An error of the first of these classes that is known here."""
    known = {f"{kind.__module__}.{kind.__qualname__}": kind for kind in (*_OURS, *records.values())}
    for name in classes:
        module, _, word = name.rpartition(".")
        kind = known.get(name) or (getattr(builtins, word, None) if module == "builtins" else None)
        if not isinstance(kind, type) or not issubclass(kind, BaseException) or issubclass(kind, _NOT_RAISED):
            continue
        try:
            error = kind(text)
        except TypeError:
            continue  # it wants more than a text
        setattr(error, LINE, line)
        return error
    return ChildEndedError(f"its process answered an error of no class: {text}")


def _written(message: tuple[Any, ...], functions: list[Callable[..., Any]]) -> bytes:
    """A message to the process; the functions in it are kept here, and a number stands for each."""
    buffer = io.BytesIO()
    _MessageWriter(buffer, functions).dump(message)
    return buffer.getvalue()


class _MessageWriter(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, functions: list[Callable[..., Any]]) -> None:
        super().__init__(buffer, protocol=5)
        self._functions = functions

    def persistent_id(self, value: Any) -> int | None:
        # What can be imported there is no function of a check but of a library, NumPy's that makes an array, say.
        if not isinstance(value, types.FunctionType) or "<locals>" not in value.__qualname__:
            return None
        self._functions.append(value)
        return len(self._functions) - 1
