"""The ceiling is measured, not quoted: a copy, an update in place and a matrix product, in the same run and place.

A copy alone is no ceiling on a CPU: its target is first read into the cache before it is overwritten, traffic that nobody
counts and that work in place does not have. So the memory's rate is the better of the two.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.measuring.clock import clock_for
from conformance.workload import Workload

REPETITIONS = 7
NEARLY_ONE = 1.0 - 2.0**-20
"""A factor that neither a library nor a compiler may take for nothing to do, and that leaves the values ordinary."""
MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}


def share(workload: Workload, seconds: float, device: str) -> dict[str, Any]:
    """The record fields that place a time under the roofline; empty where the workload claims no floor."""
    floors = []
    rates: dict[str, float] = {}
    if workload.bytes_moved:
        rates["copy_bytes_per_s"], rates["update_bytes_per_s"] = _memory_rates(int(workload.bytes_moved), device)
        floors.append(workload.bytes_moved / max(rates.values()))
    if workload.flops:
        rates["matmul_flops_per_s"] = _matmul_rate(workload.dtype, device)
        floors.append(workload.flops / rates["matmul_flops_per_s"])
    if not floors:
        return {}
    return {
        "roofline": {name: float(f"{rate:.4g}") for name, rate in rates.items()},
        "roofline_share": float(f"{max(floors) / seconds:.4g}"),
    }


@functools.lru_cache(maxsize=64)
def _memory_rates(bytes_moved: int, device: str) -> tuple[float, float]:
    """Bytes per second of a copy and of a multiplication in place, each reading and writing ``bytes_moved`` in all.

    The same footprint, so that a working set which fits a cache is held against work that fits it too.
    """
    count = max(1, bytes_moved // 8)  # float32 elements: 4 bytes read and 4 written each
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
    return _best(copy, 8.0 * count, device), _best(update, 8.0 * count, device)


@functools.lru_cache(maxsize=16)
def _matmul_rate(dtype: str, device: str) -> float:
    """Floating-point operations per second of a square matrix product in the workload's dtype."""
    size = MATRIX_SIZE[device]
    flops = 2.0 * size**3
    try:
        import torch
    except ImportError:
        left = np.random.default_rng(0).standard_normal((size, size)).astype(np.float32)
        return _best(lambda: left @ left, flops, device)
    matrix = torch.randn(size, size, device=device).to(getattr(torch, dtype))
    return _best(lambda: matrix @ matrix, flops, device)


def _best(run: Any, amount: float, device: str) -> float:
    clock = clock_for(device)
    run()
    return amount / min(clock.time(run, 1) for _ in range(REPETITIONS))
