"""Save and restore process state per implementation.

An implementation may change the working directory, the module path, the recursion limit, NumPy's error state, the locale or
torch's defaults, at import or in a call. Each implementation keeps the settings that it made, and no other implementation sees
them. The command line, the standard streams and the signal handlers belong to the run and are restored for everybody. A call
cannot end the process: `os._exit` raises SystemExit instead.
"""

from __future__ import annotations

import contextlib
import locale
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, NoReturn


class Setting(NamedTuple):
    """One process-wide setting, and its value in a library that has just been imported (None: leave it as it is)."""

    read: Callable[[], Any]
    write: Callable[[Any], Any]
    default: Any = None


SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGALRM", "SIGPROF") if hasattr(signal, name))
"""The signals that interrupt a run, end it, and end an answer that waits or takes too long."""


@contextlib.contextmanager
def interrupts_held_back() -> Iterator[None]:
    """Finish the body although a time limit or Ctrl-C interrupts it; what came meanwhile is handled afterwards.

    In the main thread, the only one that is interrupted.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[tuple[int, Any]] = []
    found = [(number, signal.getsignal(number)) for number in SIGNALS]
    handlers = {number: handler for number, handler in found if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda *interrupt: came.append(interrupt))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
        for number, frame in came:
            handlers[signal.Signals(number)](number, frame)


_LEFT: dict[str, dict[str, Any]] = {}
"""The state that each implementation left behind, by its selector."""


@contextlib.contextmanager
def process_state_of(selector: str) -> Iterator[None]:
    """Run the body in the state that this implementation left, and restore the present one afterwards."""
    before, variables = _state(), dict(os.environ)
    _restore(_LEFT.get(selector, before))
    try:
        with _state_of_the_run():
            yield
    finally:
        left = _LEFT[selector] = _state()
        _restore(before)
        # Several implementations may share a library that adds to the path once. So additions stay, but behind what was there.
        sys.path += [folder for folder in left["path"] if folder not in before["path"]]
        # Likewise variables: additions stay, changes and removals are undone.
        for name in [name for name, value in variables.items() if os.environ.get(name) != value]:
            os.environ[name] = variables[name]


@contextlib.contextmanager
def _state_of_the_run() -> Iterator[None]:
    """Restore arguments, streams and signal handlers after the body, and forbid it to end the process."""
    arguments, streams, leave = list(sys.argv), (sys.stdin, sys.stdout, sys.stderr), os._exit
    process, thread = os.getpid(), threading.current_thread()
    # Only the main thread can set handlers. None is a handler that Python did not set, and cannot set again.
    in_main = thread is threading.main_thread()
    handlers = {number: signal.getsignal(number) for number in SIGNALS} if in_main else {}

    def exit_or_raise(status: int) -> NoReturn:
        # A forked child may leave, and so may a thread that watches over this process.
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


def _settings() -> dict[str, Setting]:
    """Every setting that can be read now: those of NumPy and torch only where they are imported."""
    # The recursion limit comes first, since setting the others needs some depth.
    found = {
        "recursion limit": Setting(sys.getrecursionlimit, sys.setrecursionlimit),
        "folder": Setting(_folder, _enter),
        "path": Setting(lambda: list(sys.path), lambda path: sys.path.__setitem__(slice(None), path)),
        "locale": Setting(lambda: locale.setlocale(locale.LC_ALL), lambda name: locale.setlocale(locale.LC_ALL, name)),
    }
    numpy: Any = sys.modules.get("numpy")
    if hasattr(numpy, "geterr"):
        defaults = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}
        found["NumPy errors"] = Setting(numpy.geterr, lambda errors: numpy.seterr(**errors), defaults)
    torch: Any = sys.modules.get("torch")
    if hasattr(torch, "get_default_dtype") and hasattr(torch, "get_num_threads"):  # imported to its end
        found |= {
            "anomalies": Setting(torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False),
            "precision": Setting(torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
            "determinism": Setting(torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False),
            "dtype": Setting(torch.get_default_dtype, torch.set_default_dtype, torch.float32),
            "gradients": Setting(torch.is_grad_enabled, torch.set_grad_enabled, True),
            "threads": Setting(torch.get_num_threads, torch.set_num_threads),
        }
    return found


def _state() -> dict[str, Any]:
    return {name: setting.read() for name, setting in _settings().items()}


def _restore(state: dict[str, Any]) -> None:
    for name, setting in _settings().items():
        wanted = state.get(name, setting.default)
        if wanted is not None and setting.read() != wanted:
            setting.write(wanted)


def _folder() -> str:
    """The working directory; "" where it has been removed."""
    try:
        return os.getcwd()
    except FileNotFoundError:
        return ""


def _enter(folder: str) -> None:
    if folder:
        os.chdir(folder)
