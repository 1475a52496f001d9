"""What AdEMAMix is timed on: one step, over one large tensor or over many small ones. It moves memory and little else.

The least that a float32 step moves is 36 bytes per parameter: it reads gradient, parameter and three moments and writes all
but the gradient. With 16-bit parameters and gradients it is 30.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from conformance.comparison import Comparison, compare
from conformance.workload import Prepared, Workload
from impls.ademamix.driver import connect
from impls.ademamix.problem import Load
from impls.contract import Implementation, Unsupported
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class
from reference.rounding import format_of

BASELINE = "ademamix/torch-eager"

HYPER = Hyperparameters(alpha=8.0, weight_decay=0.1, t_alpha=10_000, t_beta3=10_000)
LEARNING_RATE = 1e-3
VERIFIED_STEPS = 2
SAMPLED_BLOCKS = 40
"""Elements are verified in aligned blocks of 256, because block-wise quantised moments depend on their whole block."""


def _workload(name: str, count: int, tensors: int, dtype: str, devices: tuple[str, ...], quick: bool = False) -> Workload:
    each = 36.0 if dtype == "float32" else 30.0
    shape = f"{tensors} tensors of {count // tensors:,} parameters" if tensors > 1 else f"one tensor of {count:,} parameters"
    return Workload(
        id=name,
        system="ademamix",
        description=f"one step, {shape}, {dtype}, both warm-ups running",
        dtype=dtype,
        amount=float(count),
        unit="parameters",
        quick=quick,
        needs=frozenset({"schedules", "weight-decay"}),
        devices=devices,
        bytes_moved=each * count,
        parameters={"count": count, "tensors": tensors},
        family=f"{dtype}-one-tensor" if tensors == 1 else f"{dtype}-many-tensors",
        scale=float(count if tensors == 1 else tensors),
        scale_name="parameters" if tensors == 1 else "tensors",
    )


WORKLOADS: tuple[Workload, ...] = (
    _workload("float32-1e5", 100_000, 1, "float32", ("cpu",), quick=True),
    _workload("float32-1e6", 1_000_000, 1, "float32", ("cpu",), quick=True),
    _workload("float32-1e7", 10_000_000, 1, "float32", ("cpu", "cuda")),
    _workload("float32-1000-tensors", 1_000_000, 1000, "float32", ("cpu", "cuda")),
    _workload("float32-1e8", 100_000_000, 1, "float32", ("cuda",)),
    _workload("bfloat16-1e8", 100_000_000, 1, "bfloat16", ("cuda",)),
)


def prepare(implementation: Implementation, workload: Workload, device: str) -> Prepared:
    """One step of a running optimizer, and its verification from fresh starts at the same shapes."""
    if "untimed" in implementation.settings:
        raise Unsupported(implementation.settings["untimed"])
    if device == "cpu" and "triton" in implementation.requires:
        raise Unsupported("its kernel runs in an interpreter without a CUDA device; a speed there means nothing")
    subject = connect(implementation, device)
    load = _load(workload)

    def verify() -> Iterable[Comparison]:
        fresh = subject.start(load)
        values = []
        for _ in range(VERIFIED_STEPS):
            fresh.step()
            values.append(fresh.read())
        yield from _verify(load, values, implementation.numerical_class)

    def ready(number: int) -> Prepared:
        return Prepared(
            subject.start(_load(workload, number) if number else load).step,
            verify,
            another=ready,
            inputs="normal deviates, others in each set of buffers; parameters and moments move on with every step, while the "
            "gradient of a set stays",
            # XLA works on streams of its own, and the driver waits for them.
            synchronous=implementation.protocol == "optax",
        )

    return ready(0)


def _load(workload: Workload, number: int = 0) -> Load:
    """The starts and gradients of one set of buffers, told apart by their number."""
    rng = np.random.default_rng(20240905 + number)
    tensors = workload.parameters["tensors"]
    size = workload.parameters["count"] // tensors
    starts, gradients = ([_rounded(rng, size, workload.dtype) for _ in range(tensors)] for _ in range(2))
    return Load(workload.dtype, starts, gradients, HYPER, LEARNING_RATE)


def _rounded(rng: np.random.Generator, size: int, dtype: str) -> npt.NDArray[np.float32]:
    values = rng.standard_normal(size, dtype=np.float32)
    if dtype == "bfloat16":  # round to nearest even on the bit pattern; these are no NaNs
        bits = values.view(np.uint32)
        bits += ((bits >> np.uint32(16)) & np.uint32(1)) + np.uint32(0x7FFF)
        bits &= np.uint32(0xFFFF0000)
    elif dtype != "float32":
        values = format_of(dtype).round(values).astype(np.float32)
    return values


def _verify(load: Load, values: list[list[Any]], class_name: str) -> Iterator[Comparison]:
    """Sampled elements of a few tensors; the law is elementwise, so what was sampled is exact at this very size."""
    numerical = numerical_class(class_name)
    rng = np.random.default_rng(1)
    for number in sorted({0, len(load.starts) // 2, len(load.starts) - 1}):
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
