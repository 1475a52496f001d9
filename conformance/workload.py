"""A workload is one thing whose speed is measured, with what it must move and compute at the least."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class Workload:
    """``amount`` of ``unit`` per call (parameters, characters, floating-point operations); speed is reported in it per second.

    ``bytes_moved`` and ``flops`` are the least that any implementation must move or compute; they place the roofline.
    None where no such floor is claimed.
    """

    id: str
    system: str
    description: str
    dtype: str
    amount: float
    unit: str
    quick: bool = False
    needs: frozenset[str] = frozenset()
    devices: tuple[str, ...] = ("cpu", "cuda")
    bytes_moved: float | None = None
    flops: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Prepared:
    """One implementation made ready for one workload.

    ``run`` does the work once; it may return before a device has finished (the clock synchronises), but must have waited
    for any other asynchrony of its own. ``verify`` runs the work on fresh inputs at the very same shapes and dtype and
    holds the outcome against the law: a speed is printed only where all of it passes.
    """

    run: Callable[[], Any]
    verify: Callable[[], Iterable[Comparison]]
