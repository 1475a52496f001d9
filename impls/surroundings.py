"""What an implementation does to the process is its own affair: it meets the surroundings that it left, and no other's.

A stranger may change the working directory, the recursion limit, NumPy's error state, the locale or torch's defaults, by an
import or by a call. Each finds again what itself set; the others find what they would have found without it.
"""

from __future__ import annotations

import contextlib
import locale
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Surroundings:
    """The process-wide settings that are kept apart."""

    folder: str
    recursion_limit: int
    numpy_errors: dict[str, Any] | None
    """None where NumPy is not imported."""
    locale: str
    flags: tuple[Any, ...]
    """Of torch: whether it looks for anomalies, how exactly it multiplies, whether it must be deterministic; () without it."""
    torch: tuple[Any, bool, int] | None
    """Default dtype, whether gradients are recorded, and threads; None where torch is not imported."""


_LEFT: dict[str, Surroundings] = {}
"""What each implementation left behind, by its selector."""


@contextlib.contextmanager
def surroundings_of(selector: str) -> Iterator[None]:
    """Run the body as that implementation left the process, and leave it afterwards as it was."""
    before, variables = _taken(), dict(os.environ)
    _restore(_LEFT.get(selector, before))
    try:
        yield
    finally:
        _LEFT[selector] = _taken()
        _restore(before)
        # What an import adds is left, since a library that several share adds it once; nothing is taken away or changed.
        for name in [name for name, value in variables.items() if os.environ.get(name) != value]:
            os.environ[name] = variables[name]


def _taken() -> Surroundings:
    numpy: Any = sys.modules.get("numpy")
    torch: Any = sys.modules.get("torch")
    return Surroundings(
        folder=_folder(),
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
