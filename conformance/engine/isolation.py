"""What an implementation does to the process is its own affair: it meets the surroundings that it left, and no other's.

A stranger may change the working directory, where modules are looked for, the recursion limit, NumPy's error state, the
locale or torch's defaults, by an import or by a call. Each finds again what itself set; the others find what they would have
found without it. The command line, the standard streams and what Ctrl-C does are the run's own: they are put back for
everybody. Nor can a call end the process: then `os._exit` raises SystemExit.
"""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn


@dataclass(frozen=True)
class Surroundings:
    """The process-wide settings that are kept apart."""

    folder: str
    path: tuple[str, ...]
    """Where modules are looked for."""
    recursion_limit: int
    numpy_errors: dict[str, Any] | None
    """None where NumPy is not imported."""
    locale: str
    flags: tuple[Any, ...]
    """Of torch: whether it looks for anomalies, how exactly it multiplies, whether it must be deterministic; () without it."""
    torch: tuple[Any, bool, int] | None
    """Default dtype, whether gradients are recorded, and threads; None where torch is not imported."""


SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM") if hasattr(signal, name))
"""What interrupts a run, ends it, and ends an answer that takes too long."""

_LEFT: dict[str, Surroundings] = {}
"""What each implementation left behind, by its selector."""


@contextlib.contextmanager
def process_state_of(selector: str) -> Iterator[None]:
    """Run the body as that implementation left the process, and leave it afterwards as it was."""
    before, variables = _taken(), dict(os.environ)
    _restore(_LEFT.get(selector, before))
    try:
        with _the_run_s_own():
            yield
    finally:
        left = _LEFT[selector] = _taken()
        _restore(before)
        # As with variables, what it added stays; but behind what was there, so that it hides nothing.
        sys.path += [folder for folder in left.path if folder not in before.path]
        # What an import adds is left, since a library that several share adds it once; nothing is taken away or changed.
        for name in [name for name, value in variables.items() if os.environ.get(name) != value]:
            os.environ[name] = variables[name]


@contextlib.contextmanager
def _the_run_s_own() -> Iterator[None]:
    """What belongs to the run and to nobody who is judged: how it was called, what it writes to, and how it ends."""
    arguments, streams, leave = list(sys.argv), (sys.stdin, sys.stdout, sys.stderr), os._exit
    process, thread = os.getpid(), threading.current_thread()
    # Handlers are the main thread's alone to set; None is one that Python has not set, and cannot set again.
    in_main = thread is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if in_main else {}

    def exit_or_raise(status: int) -> NoReturn:
        # A child that was forked leaves, and so does whoever watches over this process from another thread.
        if os.getpid() != process or threading.current_thread() is not thread:
            leave(status)
        raise SystemExit(f"it called os._exit({status}), which would have ended the run")

    os._exit = exit_or_raise
    try:
        yield
    finally:
        os._exit = leave
        sys.argv[:] = arguments
        sys.stdin, sys.stdout, sys.stderr = streams
        for number, handler in handlers.items():
            if handler is not None and signal.getsignal(number) is not handler:
                signal.signal(number, handler)


def _taken() -> Surroundings:
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    return Surroundings(
        folder=_folder(),
        path=tuple(sys.path),
        recursion_limit=sys.getrecursionlimit(),
        numpy_errors=dict(numpy.geterr()) if hasattr(numpy, "geterr") else None,
        locale=locale.setlocale(locale.LC_ALL),
        flags=_flags(torch),
        torch=(torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()) if _is_whole(torch) else None,
    )


def _restore(state: Surroundings) -> None:
    now = _taken()
    # First, since what follows needs some depth itself.
    if now.recursion_limit != state.recursion_limit:
        sys.setrecursionlimit(state.recursion_limit)
    if state.folder and now.folder != state.folder:
        os.chdir(state.folder)
    if now.path != state.path:
        sys.path[:] = state.path
    if now.numpy_errors is not None and now.numpy_errors != state.numpy_errors:
        # Imported since: then NumPy had its own defaults before.
        defaults = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
        sys.modules["numpy"].seterr(**(state.numpy_errors or defaults))
    if now.locale != state.locale:
        locale.setlocale(locale.LC_ALL, state.locale)
    if now.flags and now.flags != state.flags:
        torch = sys.modules["torch"]
        # Imported since: then it had its own defaults before.
        anomalies, precision, deterministic = state.flags or (False, "highest", False)
        torch.autograd.set_detect_anomaly(anomalies)
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(deterministic)
    if now.torch is not None and now.torch != state.torch:
        torch = sys.modules["torch"]
        # Imported since: then it had its own defaults before.
        dtype, gradients, threads = state.torch or (torch.float32, True, now.torch[2])
        torch.set_default_dtype(dtype)
        torch.set_grad_enabled(gradients)
        torch.set_num_threads(threads)


def _flags(torch: Any) -> tuple[Any, ...]:
    if not _is_whole(torch):
        return ()
    return torch.is_anomaly_enabled(), torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()


def _folder() -> str:
    """The working directory; "" where it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _is_whole(torch: Any) -> bool:
    """Whether torch has been imported to its end."""
    return hasattr(torch, "get_default_dtype") and hasattr(torch, "get_num_threads")
