"""What the engine asks of each system's harness, ``conformance.<system>.harness.subject``."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Protocol, cast

from impls.implementation import Implementation, Origin


class AnySubject(Protocol):
    """An implementation or a mutant in the form that its system's checks call; the rest of it is up to the system."""

    @property
    def numerical_class(self) -> str:
        """The class, or for texts the profile, whose bounds apply; "" is the system's strictest."""


class Harness(Protocol):
    """Connects implementations of one system to its checks.

    Where it has ``RESULTS``, these are the classes, beside plain data and arrays, of what its subjects return and raise; they
    may come from another process. ``beside(implementation, device)`` gives what a subject in another process has here.
    """

    def connect(self, implementation: Implementation, device: str) -> AnySubject:
        """The subject of an implementation on a device; loads the implementation."""

    def recognise(self, loaded: Any, name: str, settings: Mapping[str, Any] = ...) -> Mapping[str, Any] | None:
        """The fields of an `Implementation` for an object of this system, None for any other.

        ``settings`` are those that the object declares. PlugError where it is nearly one of this system; the message says
        what is missing.
        """

    # Where a `cmd:` says itself what it offers (numeric_command.py), COMMANDS_DESCRIBE is true.
    # It may also have, for conformance/engine/probing.py, which tries out what a plug does not declare:
    #   DTYPES  the dtypes to try, by protocol; those of a protocol that is not in it are not tried
    #   OPTIONAL  features that an honest implementation may lack without a word, and that are tried
    #   probe(implementation, declared) -> Implementation  tries anything else: a layout, devices, features. ``declared`` names
    #       the fields that are declared and must stay. It adds what it finds to ``found``: "tensors are (B, N, H, D)".


def harness_of(system: str) -> Harness:
    """The harness of one system."""
    return cast(Harness, importlib.import_module(f"conformance.{system}.harness.subject"))


CONNECTED_ELSEWHERE: dict[str, Callable[[Implementation, str], Any]] = {}
"""By its selector, how an implementation that runs in another process is connected; see `remote_subject`."""


@functools.cache
def records_of(system: str) -> Mapping[str, type]:
    """The classes that may come from another process, by their names: those of all systems, and of one."""
    own = getattr(harness_of(system), "RESULTS", ()) if system else ()
    return {each.__name__: each for each in (Implementation, Origin, *own)}


@functools.lru_cache(maxsize=256)
def connect(implementation: Implementation, device: str) -> Any:
    """The subject of this implementation on this device, made once. Its type is the system's own `AnySubject`."""
    with warnings.catch_warnings():
        # The imports of third parties would show the same warnings a hundred times.
        warnings.simplefilter("ignore")
        if implementation.selector in CONNECTED_ELSEWHERE:
            return CONNECTED_ELSEWHERE[implementation.selector](implementation, device)
        return harness_of(implementation.system).connect(implementation, device)
