"""The ceiling is measured, not quoted: a copy of the same footprint and a matrix product, in the same run and place."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from conformance.measuring.clock import clock_for
from conformance.workload import Workload

REPETITIONS = 7
MATRIX_SIZE = {"cpu": 1024, "cuda": 8192}


def share(workload: Workload, seconds: float, device: str) -> dict[str, Any]:
    """The record fields that place a time under the roofline; empty where the workload claims no floor."""
    floors = []
    rates: dict[str, float] = {}
    if workload.bytes_moved:
        rates["copy_bytes_per_s"] = _copy_rate(int(workload.bytes_moved), device)
        floors.append(workload.bytes_moved / rates["copy_bytes_per_s"])
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
def _copy_rate(bytes_moved: int, device: str) -> float:
    """Bytes per second of a copy that reads and writes as many bytes in all as the workload moves at the least.

    The same footprint, so that a working set which fits a cache is held against a copy that fits it too.
    """
    count = max(1, bytes_moved // 8)  # float32 elements: 4 bytes read and 4 written each
    try:
        import torch
    except ImportError:
        source, target = np.ones(count, np.float32), np.empty(count, np.float32)
        return _best(lambda: np.copyto(target, source), 8.0 * count, device)
    source_tensor = torch.rand(count, device=device)
    target_tensor = torch.empty_like(source_tensor)
    return _best(lambda: target_tensor.copy_(source_tensor), 8.0 * count, device)


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
