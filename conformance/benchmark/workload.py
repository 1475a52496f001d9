"""A workload is one thing whose speed is measured, with what it must move and compute at the least."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.engine.comparison import Comparison


@dataclass(frozen=True, kw_only=True)
class Workload:
    """``amount`` of ``unit`` per call (parameters, characters, floating-point operations); speed is reported in it per second.

    ``bytes_moved`` and ``flops`` are the least that any implementation must move or compute; they place the roofline.
    None where no such floor is claimed. Workloads of one ``family`` differ in their ``scale`` alone, which counts what
    ``scale_name`` says.
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
    family: str = ""
    scale: float | None = None
    scale_name: str = ""


@dataclass(frozen=True)
class Prepared:
    """One implementation made ready for one workload.

    ``run`` does the work once, always on the same buffers, and nothing of it was done before. It may return before a device
    has finished (the clock waits for torch's current stream), but must have waited for any other asynchrony of its own; where
    it works elsewhere than on that stream and waits for it, ``synchronous`` says so. ``verify`` runs the work on fresh inputs
    at the very same shapes and dtype and holds the outcome against the law: a speed is printed only where all of it passes.

    ``verify_timed`` holds what the calls of ``run`` themselves have left behind against the law: nothing else sees whether
    those did all of the work, or less than the calls that ``verify`` makes.

    ``another`` makes the same work ready on buffers and inputs of its own, told apart by a number from 1. ``renew`` puts
    random inputs that were not seen before into the buffers, in place, drawn from a number. What each sample's inputs are, and
    why they are no fresher, stands in ``inputs``, in words for the record.
    """

    run: Callable[[], Any]
    verify: Callable[[], Iterable[Comparison]]
    another: Callable[[int], Prepared] | None = None
    renew: Callable[[int], Any] | None = None
    inputs: str = ""
    synchronous: bool = False
    verify_timed: Callable[[], Iterable[Comparison]] | None = None
