"""Describe what is measured: a workload, an implementation made ready for it, and the benchmark case of both."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from conformance.benchmark.apart import ApartProcess, Request
from conformance.benchmark.on_device import Elsewhere
from conformance.engine.comparison import Comparison
from conformance.records.schema import MeasurementRecord
from impls.implementation import Implementation


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Work of a fixed size. Speed is reported as ``amount`` of ``unit`` per second: parameters, characters or FLOP.

    ``bytes_moved`` and ``flops`` are the least that any implementation must move or compute; they place the roofline. None
    where no such minimum is claimed. Workloads of one ``family`` differ only in ``scale``, which counts ``scale_name``.
    """

    id: str
    system: str
    description: str
    dtype: str
    amount: float
    unit: str
    quick: bool = False
    """Whether it belongs to ``--quick``."""
    representative: bool = False
    """Whether it is one of the few that stand for their system in a run without ``--quick`` and ``--thorough``."""
    needs: frozenset[str] = frozenset()
    devices: tuple[str, ...] = ("cpu", "cuda")
    bytes_moved: float | None = None
    flops: float | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict, hash=False)
    family: str = ""
    scale: float | None = None
    scale_name: str = ""


@dataclass(frozen=True)
class BenchmarkCase:
    """One implementation on one workload and device, beside the baseline of its system."""

    implementation: Implementation
    baseline: Implementation | None
    workload: Workload
    device: str
    quick: bool
    budget_s: float | None = None
    sustained: bool = False
    """Whether a GPU is kept busy with the same work before each sample."""
    """Seconds of sampling in each state of the cache; None leaves it to the run's kind, quick or full."""

    @property
    def id(self) -> str:
        """Unique within the system's benchmark."""
        return f"{self.workload.id}-{self.device}-{self.implementation.name}"

    @property
    def is_baseline(self) -> bool:
        """Whether this is the baseline beside a copy of itself, the A/A pair."""
        return self.baseline is not None and self.implementation.name == self.baseline.name

    def record(self, **fields: Any) -> MeasurementRecord:
        """A record of what is known before anything is timed, and of these fields."""
        workload = self.workload
        copied = ("system", "description", "family", "scale", "scale_name", "dtype", "amount", "unit", "bytes_moved", "flops")
        return MeasurementRecord(
            **{name: getattr(workload, name) for name in copied},
            workload=workload.id,
            implementation=self.implementation.name,
            baseline=self.baseline.name if self.baseline else "",
            device=self.device,
            quick=self.quick,
            again=self.is_baseline,
            **fields,
        )


@dataclass(frozen=True)
class Prepared:
    """One implementation made ready for one workload.

    ``run`` does the work once, always on the same buffers; nothing of it was done before. It may return before torch's
    current stream has finished, but must have waited for any other work of its own. ``synchronous`` says that it works
    elsewhere than on that stream and waits for that. ``verify`` does the work on fresh inputs of the same shapes and dtype
    and compares the results with the reference: a speed is shown only where all of them pass.

    ``verify_timed`` compares what the calls of ``run`` themselves left behind: only this sees whether those did all of the
    work, or less than the calls of ``verify``.

    ``another`` prepares the same work on buffers and inputs of its own, given a number from 1. ``renew`` fills the buffers
    in place with new random inputs, given a seed. ``inputs`` says, for the record, what each sample's inputs are and why they
    are no fresher.
    """

    run: Callable[[], Any]
    verify: Callable[[], Iterable[Comparison]]
    another: Callable[[int], Prepared] | None = None
    renew: Callable[[int], Any] | None = None
    inputs: str = ""
    synchronous: bool = False
    verify_timed: Callable[[], Iterable[Comparison]] | None = None
    process: ApartProcess | None = None
    """Where it is made ready in a process of its own: that, with ``request`` and ``exchange``."""
    request: Callable[[int], Request] | None = None
    """Prepares so many calls off the clock, told what no earlier call could know."""
    exchange: Callable[[int], Request] | None = None
    """The same without the calls."""
    elsewhere: Elsewhere | None = None
    """How it is timed in that process, where it works on a device."""
