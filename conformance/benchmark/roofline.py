"""Measure the roofline: copies, updates, matrix products and multiply-adds, in the same run and state of the cache.

A copy alone is no ceiling on a CPU: its target is read into the cache before it is overwritten, which nobody counts and which
work in place avoids. So the memory's rate is the better of the two. A library's matrix product is no ceiling for code compiled
for this very processor, so multiply-adds from registers alone are measured too, where there is a compiler. A time beyond the
ceiling and its scatter is a measuring fault, and no speed is shown.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from conformance.benchmark.affinity import allowed_cpus
from conformance.benchmark.cache import cache_of
from conformance.benchmark.sampler import Buffers, calls_for, taker
from conformance.benchmark.timer import clock_for
from conformance.benchmark.workload import Workload
from conformance.records.schema import RooflineRecord
from impls import compiler

REPETITIONS = 9
HEADROOM = 1.25
"""The library's copy and matrix product are not the fastest possible; a kernel may beat them by this factor."""
STEADY = 1.25
"""A ceiling whose best rate exceeds its median by more was not measured steadily, and excuses nothing."""
TRIES = 3
"""So often is a ceiling measured until it is steady."""
NEARLY_ONE = 1.0 - 2.0**-20
"""A factor that no library or compiler can optimise away, and that keeps values ordinary."""
MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}
SMALLEST_BYTES = 2**20
"""Smaller footprints would measure how long a call of the library takes, and not the memory."""


@dataclass(frozen=True)
class Rate:
    """The ``best`` of several rates, and their median; the quotient says how far the best can be trusted."""

    best: float
    typical: float

    @property
    def scatter(self) -> float:
        return self.best / self.typical


@dataclass(frozen=True)
class Place:
    """Where a time lies under the roofline: the rates measured, the share of them reached, a fault or a warning in words."""

    rates: RooflineRecord = field(default_factory=RooflineRecord)
    share: float | None = None
    fault: str = ""
    warning: str = ""


def place(workload: Workload, seconds: float, slowest: float, device: str, cache: str) -> Place:
    """Compare the median and the upper end of its interval, in seconds, with the ceilings measured here.

    Where a time lies above a ceiling, the machine may have been faster at that moment: the ceiling is measured once more, and
    the better of both counts.
    """
    footprint = int(workload.bytes_moved or 0)
    memory = _known(memory_rates, footprint, device, cache) if footprint else {}
    product = _known(product_rates, workload.dtype, device, cache) if workload.flops else {}
    found = judged(workload, seconds, slowest, memory, product, cache)
    if found.warning or (found.fault and found.share is not None):
        if memory:
            memory = _better(memory, memory_rates(footprint, device, cache))
        if product:
            product = _better(product, product_rates(workload.dtype, device, cache))
        found = judged(workload, seconds, slowest, memory, product, cache)
    return found


@functools.lru_cache(maxsize=64)
def _known(measure: Callable[..., Any], *where: int | str) -> Any:
    """What was measured there first in this process: the first of `TRIES` that was steady, else the steadiest."""
    tries: list[dict[str, Rate]] = []
    while not tries or (len(tries) < TRIES and _scatter(tries[-1]) > STEADY):
        tries.append(measure(*where))
    return min(tries, key=_scatter)


def _scatter(rates: dict[str, Rate]) -> float:
    """Of the best of these rates, which is the ceiling."""
    return max(rates.values(), key=lambda rate: rate.best).scatter


def _better(first: dict[str, Rate], second: dict[str, Rate]) -> dict[str, Rate]:
    """The best of both, and the lower of their medians: a difference between two moments is scatter too."""
    return {
        name: Rate(max(rate.best, second[name].best), min(rate.typical, second[name].typical)) for name, rate in first.items()
    }


def judged(
    workload: Workload, seconds: float, slowest: float, memory: dict[str, Rate], product: dict[str, Rate], cache: str
) -> Place:
    """Apply the rule, given the rates.

    The share is the least time that bytes and operations need at the best rates, divided by the median. It is a fault where
    even the upper end of the median's interval is below that least time with a rate better by `HEADROOM` and its own scatter,
    and where the ceiling that binds is not `STEADY`: it could then neither support nor refute the time. Such a fault has no
    share. A ceiling that does not bind excuses nothing either way, however steady it is.
    """
    needs = []
    for amount, unit, rates in ((workload.bytes_moved, "B", memory), (workload.flops, "FLOP", product)):
        if amount and rates:
            best = max(rates.values(), key=lambda rate: rate.best)
            needs.append((amount / best.best, amount / (best.best * HEADROOM * best.scatter), amount, unit, best))
    if not needs:
        return Place()
    binding = max(needs, key=lambda need: need[0])
    if binding[4].scatter > STEADY:
        return Place(fault=_unsteady(binding[4], binding[3]))
    share = binding[0] / seconds
    found = Place(
        RooflineRecord(**{name: float(f"{rate.best:.4g}") for name, rate in {**memory, **product}.items()}),
        float(f"{share:.4g}"),
    )
    least, allowed, amount, unit, rate = max(needs, key=lambda need: need[1])
    if slowest < allowed:
        fault = (
            f"claims {amount:.4g} {unit} in {seconds:.3g} s, which is {amount / seconds:.3g} {unit}/s; with a {cache} "
            f"cache this machine does {rate.best:.3g} {unit}/s, measured in this run, so the work needs {least:.3g} s, "
            f"and no less than {allowed:.3g} s with {(HEADROOM - 1):.0%} of headroom and the scatter of that rate"
        )
        return replace(found, fault=fault)
    if share > 1:
        return replace(found, warning=f"above the measured roofline by {share - 1:.0%}, within what that measurement allows")
    return found


def _unsteady(rate: Rate, unit: str) -> str:
    return (
        "the ceiling of this machine could not be measured steadily, so no speed is shown: "
        f"its best rate, {rate.best:.3g} {unit}/s, is {rate.scatter:.3g} times the median of {REPETITIONS}, "
        f"and {STEADY:.3g} is the most that is taken for steady; measure again when nothing else runs"
    )


def memory_rates(bytes_moved: int, device: str, cache: str) -> dict[str, Rate]:
    """Bytes per second of a copy and of a multiplication in place, each reading and writing ``bytes_moved`` in all.

    The footprint is the same, so that a working set that fits a cache is compared with work that fits it too.
    """
    count = max(bytes_moved, SMALLEST_BYTES) // 8  # float32 elements: 4 bytes read and 4 written each
    copy: Callable[[], Any]
    update: Callable[[], Any]
    try:
        import torch
    except ImportError:
        array, other = np.ones(count, np.float32), np.empty(count, np.float32)
        copy, update = (lambda: np.copyto(other, array)), (lambda: np.multiply(array, NEARLY_ONE, out=array))
    else:
        tensor = torch.rand(count, device=device)
        target = torch.empty_like(tensor)
        copy, update = (lambda: target.copy_(tensor)), (lambda: tensor.mul_(NEARLY_ONE))
    return {
        "copy_bytes_per_s": _rate(copy, 8.0 * count, device, cache),
        "update_bytes_per_s": _rate(update, 8.0 * count, device, cache),
    }


def product_rates(dtype: str, device: str, cache: str) -> dict[str, Rate]:
    """Floating-point operations per second of a matrix product, and on a CPU of multiply-adds where they can be compiled."""
    rates = {"matmul_flops_per_s": matmul_rate(dtype, device, cache)}
    if device == "cpu" and dtype != "float64":
        with contextlib.suppress(compiler.BackendUnavailable):
            rates["multiply_add_flops_per_s"] = multiply_add_rate()
    return rates


SOURCE = Path(__file__).parent / "csrc" / "multiply_add.cpp"
ROUNDS = 500_000
"""About a millisecond."""


def multiply_add_rate() -> Rate:
    """Floating-point operations per second of float32 multiply-adds in registers, on every CPU that the run may use.

    The cache does not matter to it. It counts as warm, so that calls are repeated until all threads are awake.
    """
    function = compiler.library(SOURCE).multiply_adds
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_float, ctypes.c_float, ctypes.POINTER(ctypes.c_float)]
    result = ctypes.c_float()

    def run(rounds: int = ROUNDS) -> float:
        return float(function(rounds, len(allowed_cpus()), 0.5, 1.0, result))

    return _rate(run, run(), "cpu", "warm")


def matmul_rate(dtype: str, device: str, cache: str) -> Rate:
    """Floating-point operations per second of a square matrix product in the workload's dtype."""
    size = MATRIX_SIZE[device]
    flops = 2.0 * size**3
    try:
        import torch
    except ImportError:
        left = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        return _rate(lambda: left @ left, flops, device, cache)
    matrix = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    return _rate(lambda: matrix @ matrix, flops, device, cache)


def _rate(run: Callable[[], Any], amount: float, device: str, cache: str) -> Rate:
    clock = clock_for(device)
    take = taker(clock, cache_of(device).evict if cache == "cold" else None)
    first = take(Buffers(clock.ready(run, 1), run), 0)
    calls = calls_for(first) if cache == "warm" else 1
    buffers = Buffers(clock.ready(run, calls), run)
    rates = [amount / take(buffers, i) for i in range(REPETITIONS)]
    return Rate(max(rates), median(rates))
