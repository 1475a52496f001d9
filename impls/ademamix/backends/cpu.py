"""One pass over the memory in C++, vectorised and on as many threads as torch uses: as fast as the memory allows."""

from __future__ import annotations

import ctypes

import numpy as np
import torch

from impls.ademamix import build
from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.backends.pointers import walkable
from impls.compiler import BackendUnavailable

PARAMETERS = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2, torch.float64: 3}
STATES = {"float32": 0, "bfloat16": 1, "8bit": 2}


def obstacle(kind: Kind) -> Exception | None:
    """Refuses other devices, and where there is no compiler, says so."""
    from impls.ademamix.backends import UnsupportedByBackend

    if kind.device != "cpu":
        return UnsupportedByBackend(f"it steps tensors on the CPU, these are on {kind.device}")
    if kind.dtype not in PARAMETERS:
        return UnsupportedByBackend(f"it steps no {kind.dtype} parameters")
    if kind.dtype == torch.float64 and kind.states != "float32":
        return UnsupportedByBackend("float64 parameters have float64 states")
    if kind.capturable:
        return UnsupportedByBackend("its scalars are on the host; capturable=True is for devices")
    try:
        build.library("host.cpp")
    except BackendUnavailable as error:
        return error
    return None


def update(batch: Batch) -> None:
    """One call for the whole list."""
    library = build.library("host.cpp")
    work = walkable(batch)
    if not work.numbers:
        return
    table, rows, keys = work.addresses(), work.rows(), work.keys()
    chunks = np.zeros(len(table) + 1, dtype=np.int64)
    np.cumsum(-(-table[:, -1] // _chunk(library)), out=chunks[1:])
    arguments = [ctypes.c_void_p(array.ctypes.data) for array in (table, rows, keys, chunks)]
    kind = batch.kind
    library.ademamix_step(
        *arguments, len(table), PARAMETERS[kind.dtype], STATES[kind.states], int(kind.has_fast), int(kind.stochastic),
        torch.get_num_threads(),
    )  # fmt: skip
    work.finish()


def _chunk(library: ctypes.CDLL) -> int:
    library.ademamix_chunk.restype = ctypes.c_longlong
    return int(library.ademamix_chunk())
