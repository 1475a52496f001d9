"""What AdEMAMix is timed on: one step, over one large tensor or over many small ones. It moves memory and little else.

The least that a float32 step moves is 36 bytes per parameter: it reads gradient, parameter and three moments and writes all
but the gradient. With 16-bit parameters and gradients it is 30, with moments in 8 bits 18.1. An implementation is timed
on the workloads that count the bytes of its own moments; the baseline is timed on all, so that there is a ratio everywhere.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.ademamix.harness.problem import OptimizerLoad, ToldStep
from conformance.benchmark.apart import Request, lives_elsewhere, process_of, request
from conformance.benchmark.on_device import Elsewhere
from conformance.benchmark.unforeseen import generator, one_in_each
from conformance.benchmark.workload import Prepared, Workload
from conformance.benchmark.workload_file import BadWorkloads, fields_of
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.harness import connect
from impls.implementation import Implementation
from reference.ademamix import Hyperparameters, OptimizerNumericalClass, bounded_trajectory, numerical_class
from reference.rounding import format_of

BASELINE = "ademamix/torch-eager"

HYPER = Hyperparameters(alpha=8.0, weight_decay=0.1, t_alpha=10_000, t_beta3=10_000)
LEARNING_RATE = 1e-3
VERIFIED_STEPS = 2
VERIFIED_TILE = 256
"""After all timed steps, one random element in each so many neighbours of every tensor is verified. A whole block that is
wrong is always met."""
MOST_VERIFIED = 2**16
"""So many elements at most: of larger tensors, in larger tiles."""
VERIFIED_PEEKS = 256
"""Of the elements read on the clock, one after each step, so many are verified."""
ANOTHER_SET = 10**6
"""Added to the number of a set of buffers: that of its second gradients."""
SAMPLED_BLOCKS = 40
"""Elements are verified in aligned blocks of 256, because block-wise quantised moments depend on their whole block."""


_STATE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1 + 4 / 256}
"""Bytes of one moment of one parameter between steps; 8-bit moments have a scale for each 256."""


def _workload(
    name: str,
    count: int,
    tensors: int = 1,
    dtype: str = "float32",
    states: str = "float32",
    devices: tuple[str, ...] = ("cpu",),
    *,
    quick: bool = False,
    representative: bool = False,
    family: str = "",
    scale: float | None = None,
    scale_name: str = "",
) -> Workload:
    narrow = 4 if dtype == "float32" else 2
    each = 3 * narrow + 6 * _STATE_BYTES[states]  # gradient read, parameter and moments read and written
    shape = f"{tensors:,} tensors of {count // tensors:,} parameters" if tensors > 1 else f"one tensor of {count:,} parameters"
    kept = "" if states == "float32" else f", moments kept in {states.replace('8bit', '8 bits')}"
    return Workload(
        id=name,
        system="ademamix",
        description=f"one step, {shape}, {dtype}{kept}, both warm-ups running",
        dtype=dtype,
        amount=float(count),
        unit="parameters",
        quick=quick,
        representative=representative,
        needs=frozenset({"schedules", "weight-decay"}),
        devices=devices,
        bytes_moved=each * count,
        parameters={"count": count, "tensors": tensors, "states": states},
        family=family,
        scale=scale,
        scale_name=scale_name,
    )


def _sizes(family: str, counts: dict[str, tuple[str, ...]], **options: Any) -> tuple[Workload, ...]:
    """One tensor in growing sizes: small ones show the overhead of a step, large ones the cost of its bytes."""
    return tuple(
        _workload(
            f"{family}-{count}",
            int(float(count)),
            devices=devices,
            family=family,
            scale=float(count),
            scale_name="parameters",
            quick=family == "float32" and count in ("1e5", "1e6"),
            # Small enough for a CPU's patience; and large enough for a GPU to be busy.
            representative=count in ("1e6", "1e8"),
            **options,
        )
        for count, devices in counts.items()
    )


_BOTH = ("cpu", "cuda")

WORKLOADS: tuple[Workload, ...] = (
    *_sizes("float32", {"1e4": ("cpu",), "1e5": ("cpu",), "1e6": _BOTH, "1e7": _BOTH, "1e8": ("cuda",)}),
    *(
        _workload(
            f"float32-{tensors}-tensors", 1_000_000, tensors, devices=_BOTH, family="float32-tensors", scale=float(tensors),
            scale_name="tensors", representative=tensors == 100,
        )
        for tensors in (1, 10, 100, 1000)
    ),
    *_sizes("bfloat16", {"1e6": _BOTH, "1e7": _BOTH, "1e8": ("cuda",)}, dtype="bfloat16"),
    *_sizes("bfloat16-moments", {"1e6": ("cpu",), "1e7": ("cpu",)}, states="bfloat16"),
    *_sizes("8bit", {"1e6": _BOTH, "1e7": _BOTH, "1e8": ("cuda",)}, states="8bit"),
    *_sizes("bfloat16-8bit", {"1e7": _BOTH, "1e8": ("cuda",)}, dtype="bfloat16", states="8bit"),
)  # fmt: skip


def custom(entry: Mapping[str, Any]) -> Workload:
    """A workload of somebody's own, from the fields of a file; BadWorkloads where they are wrong."""
    defaults = {"name": "", "parameters": None, "tensors": 1, "dtype": "float32", "states": "float32"}
    choices = {"dtype": ("float32", "bfloat16", "float16"), "states": tuple(_STATE_BYTES)}
    given = fields_of(entry, defaults, choices)
    count, tensors = given["parameters"], given["tensors"]
    if not 1 <= tensors <= count:
        raise BadWorkloads(f"found tensors {tensors} of {count} parameters, expected one parameter at least in each")
    count -= count % tensors
    name = given["name"] or "-".join(["own", given["dtype"], f"{count}", f"{tensors}-tensors", f"{given['states']}-moments"])
    return _workload(name, count, tensors, given["dtype"], given["states"], _BOTH, family="own", scale=float(count))


def unsuited(implementation: Implementation, workload: Workload, device: str) -> str:
    """Why an implementation that offers all that a workload needs is not timed on it; empty where it is."""
    if "untimed" in implementation.settings:
        return str(implementation.settings["untimed"])
    kept = moments_kept(implementation, workload.dtype)
    if kept != workload.parameters["states"] and implementation.name != BASELINE:
        return f"keeps moments in {kept}, and this counts the bytes of moments in {workload.parameters['states']}"
    if device == "cpu" and "triton" in implementation.requires:
        return "its kernel runs in an interpreter without a CUDA device; a speed there means nothing"
    return ""


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """One step of a running optimizer, and its verification from fresh starts at the same shapes."""
    subject = connect(implementation, device)
    load = load_of(workload)

    def verify() -> Iterable[Comparison]:
        fresh = subject.start(load)
        values = []
        for _ in range(VERIFIED_STEPS):
            fresh.step()
            values.append(fresh.read())
        yield from _verify(load, values, implementation.numerical_class)

    return _TimedOptimizer(implementation, workload, device, subject, 0).prepared(verify)


class _TimedOptimizer:
    """An optimizer on one set of buffers, and what it was told and seen to do, step by step."""

    def __init__(self, implementation: Implementation, workload: Workload, device: str, subject: Any, number: int) -> None:
        self._more = implementation, workload, device, subject
        load = load_of(workload, number)
        if lives_elsewhere(subject):
            load = replace(load, others=load_of(workload, number + ANOTHER_SET).gradients)
        self._load, self._running = load, subject.start(load)
        self._process = process_of(self._running)
        self._told: list[ToldStep] = []
        self._seen: list[float | None] = []
        self._where = _unforeseen_places(load)
        self._rng = generator()

    def prepared(self, verify: Callable[[], Iterable[Comparison]]) -> Prepared:
        """See `Prepared`."""
        implementation, workload, device, subject = self._more

        def another(number: int) -> Prepared:
            return _TimedOptimizer(implementation, workload, device, subject, number).prepared(verify)

        timed = device == "cpu" or self._process is not None
        told = "for each step and told on the clock" if device == "cpu" else "for each sample"
        changing = f", which of two and at which learning rate being drawn {told}"
        return Prepared(
            # What comes later on a device's stream waits for the step anyway. A CUDA graph replays the captured step, and the
            # replays are not counted.
            self._run if timed else self._running.step,
            verify,
            verify_timed=self._verify if timed else None,
            another=another,
            inputs="normal deviates, others in each set of buffers; parameters and moments move on with every step, while the "
            f"gradients of a set stay{changing if self._process else ''}",
            # XLA works on streams of its own, and the backend waits for them.
            synchronous=implementation.protocol == "optax",
            process=self._process,
            request=self._request if self._process else None,
            exchange=self._exchange if self._process else None,
            elsewhere=self._elsewhere(device),
        )

    def _elsewhere(self, device: str) -> Elsewhere | None:
        if self._process is None or device == "cpu":
            return None
        return Elsewhere(self._process, self._running.on_device(), lambda: self._tell(1)[0], self._made, replayable=False)

    def _made(self, told: Sequence[ToldStep | None], seen: Any) -> None:
        """Steps on a device: what was seen is an element after the last of them. None was told: as the step before."""
        for each in told:
            self._told.append(each or (self._told[-1] if self._told else ToldStep(0, 0)))
            self._seen.append(None)
        if seen is not None:
            self._seen[-1] = float(seen)

    def _run(self) -> None:
        told = self._tell(1)
        self._note(told, self._running.make(told))

    def _request(self, calls: int) -> Request:
        told = self._tell(calls)
        return request(self._running, "make", told, functools.partial(self._note, told))

    def _exchange(self, calls: int) -> Request:
        return request(self._running, "exchange", self._tell(calls), lambda seen: None)

    def _tell(self, calls: int) -> list[ToldStep]:
        """For so many steps: a place to look at, and where it is told in time what no step before could know."""
        places = [next(self._where) for _ in range(calls)]
        if self._process is None:
            return [ToldStep(*place) for place in places]
        which = self._rng.integers(2, size=calls).tolist()
        rates = (LEARNING_RATE * self._rng.uniform(0.5, 1.5, calls)).tolist()
        if self._more[0].protocol == "optax":  # compiles its rate in
            rates = [None] * calls
        told = zip(places, which, rates, strict=True)
        return [ToldStep(tensor, index, one, rate) for (tensor, index), one, rate in told]

    def _note(self, told: list[ToldStep], seen: list[float]) -> None:
        if len(seen) != len(told):
            raise AssertionError(f"its process answered {len(seen)} numbers to {len(told)} steps")
        self._told += told
        self._seen += seen

    def _verify(self) -> Iterator[Comparison]:
        numerical = numerical_class(self._more[0].numerical_class)
        return _verify_timed(self._load, self._running.read(), self._told, self._seen, numerical)


def _unforeseen_places(load: OptimizerLoad) -> Iterator[tuple[int, int]]:
    """Random places of random tensors, drawn ahead of time by the thousand."""
    rng = generator()
    while True:
        tensors = rng.integers(len(load.starts), size=1024)
        yield from zip(tensors.tolist(), (int(rng.integers(load.starts[n].size)) for n in tensors), strict=True)


def _verify_timed(
    load: OptimizerLoad,
    values: list[Any],
    told: Sequence[ToldStep],
    seen: Sequence[float | None],
    numerical: OptimizerNumericalClass,
) -> Iterator[Comparison]:
    """Verify the parameters after all timed steps, and one element after each: none was left out or is still to come.

    In 16 bits, or with narrow moments, the bound after many steps exceeds the change that they make: there parameters only
    have to be finite, and those in float32 to be moved by each step.
    """
    yield equal("timed parameters that are not finite", sum(int((~np.isfinite(x)).sum()) for x in values), 0)
    if not told or load.dtype != "float32":
        return
    looked_at = [number for number, value in enumerate(seen) if value is not None]
    still = sum(bool(seen[number] == load.starts[told[number].tensor][told[number].index]) for number in looked_at)
    yield equal("parameters still unmoved when the clock stopped", still, 0)
    if numerical.states != "wide":
        return
    rng = generator()
    tile = max(VERIFIED_TILE, sum(x.size for x in load.starts) // MOST_VERIFIED)
    places = [(tensor, index) for tensor, x in enumerate(load.starts) for index in one_in_each(x.size, tile, rng).tolist()]
    peeks = sorted(rng.choice(looked_at, min(len(looked_at), VERIFIED_PEEKS), replace=False).tolist())
    everywhere = [*places, *((told[number].tensor, told[number].index) for number in peeks)]
    start, *choice = (
        np.array([arrays[tensor][index] for tensor, index in everywhere], dtype=np.float64)
        for arrays in (load.starts, load.gradients, load.others)
        if len(arrays)
    )
    gradients = [choice[step.gradients or 0] for step in told]
    rates = [load.learning_rate if step.learning_rate is None else step.learning_rate for step in told]
    expected, bound = np.empty(len(peeks)), np.empty(len(peeks))
    waiting = dict(zip(peeks, range(len(peeks)), strict=True))
    for number, after in enumerate(bounded_trajectory(start, gradients, rates, load.hyper, load.dtype, numerical)):
        if number in waiting:
            at = waiting[number]
            expected[at], bound[at] = after.theta[len(places) + at], after.theta_bound[len(places) + at]
    found = np.array([values[tensor][index] for tensor, index in places])
    last = slice(len(places))
    yield compare(
        f"sampled parameters after the {len(told)} steps that were timed", found, after.theta[last], after.theta_bound[last]
    )
    yield compare("parameters when the clock stopped", [seen[number] for number in peeks], expected, bound)


def moments_kept(implementation: Implementation, dtype: str) -> str:
    """The format of the moments, as the implementation's numerical class has it."""
    states = numerical_class(implementation.numerical_class).states
    return {"wide": "float32", "parameter": dtype, "blockwise-8bit": "8bit", "ratios-8bit": "8bit"}.get(states, states)


def load_of(workload: Workload, number: int = 0) -> OptimizerLoad:
    """The starts and gradients of the set of buffers with this number."""
    rng = np.random.default_rng(20240905 + number)
    tensors = workload.parameters["tensors"]
    size = workload.parameters["count"] // tensors
    starts, gradients = ([_rounded(rng, size, workload.dtype) for _ in range(tensors)] for _ in range(2))
    return OptimizerLoad(workload.dtype, starts, gradients, HYPER, LEARNING_RATE)


def _rounded(rng: np.random.Generator, size: int, dtype: str) -> npt.NDArray[np.float32]:
    values = rng.standard_normal(size, dtype=np.float32)
    if dtype == "bfloat16":  # round to nearest even on the bit pattern; these are no NaNs
        bits = values.view(np.uint32)
        bits += ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
        bits &= np.uint32(0xFFFF0000)
    elif dtype != "float32":
        values = format_of(dtype).round(values).astype(np.float32)
    return values


def _verify(load: OptimizerLoad, values: list[list[Any]], class_name: str) -> Iterator[Comparison]:
    """Verify sampled elements of a few tensors; the algorithm is elementwise, so they can be computed alone."""
    numerical = numerical_class(class_name)
    rng = generator()
    for number in sorted({0, int(rng.integers(len(load.starts))), len(load.starts) - 1}):
        size = len(load.starts[number])
        blocks = -(-size // numerical.block)
        chosen = rng.choice(blocks, min(blocks, SAMPLED_BLOCKS), replace=False)
        chosen = np.unique(np.append(chosen, blocks - 1))  # the last block holds the tail
        index = (chosen[:, None] * numerical.block + np.arange(numerical.block)).ravel()
        index = index[index < size]
        run = bounded_trajectory(
            load.starts[number][index].astype(np.float64),
            [load.gradients[number][index].astype(np.float64)] * VERIFIED_STEPS,
            [load.learning_rate] * VERIFIED_STEPS,
            load.hyper,
            load.dtype,
            numerical,
        )
        for step, snapshot in enumerate(run):
            name = f"sampled parameters of tensor {number} after step {step + 1}"
            yield compare(name, values[step][number][index], snapshot.theta, snapshot.theta_bound)
