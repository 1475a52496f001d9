"""The CUDA source on the host: blocks and threads as loops. Slow, and there to test the kernel without a device."""

from __future__ import annotations

import ctypes
from typing import Any

import torch

from impls.ademamix import build
from impls.ademamix.backends import cpu
from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.backends.pointers import scalars_of, tables_of, walkable
from impls.compiler import BackendUnavailable

_FLAGS = ("-O1", "-Wno-unknown-pragmas")


def obstacle(kind: Kind) -> Exception | None:
    """Refuses what the kernel does not compute, and says where there is no compiler."""
    from impls.ademamix.backends import UnsupportedByBackend

    if kind.device != "cpu":
        return UnsupportedByBackend(f"it steps tensors on the CPU, these are on {kind.device}; backend='cuda' does")
    if kind.dtype == torch.float64 or kind.dtype not in cpu.PARAMETERS:
        return UnsupportedByBackend(f"the kernel computes in float32; {kind.dtype} parameters need more")
    try:
        _library()
    except BackendUnavailable as error:
        return error
    return None


def update(batch: Batch) -> None:
    """As `impls.ademamix.backends.cuda.update`, the launch aside."""
    work = walkable(batch)
    if not work.numbers:
        return
    library, kind = _library(), batch.kind
    tables = tables_of(work, int(library.ademamix_device_chunk()))
    scalars, keys = scalars_of(work)
    for chunks, aligned in tables.launches:
        arguments = [ctypes.c_void_p(t.data_ptr()) for t in (tables.addresses, scalars, keys, chunks)]
        library.ademamix_launch(
            *arguments, int(aligned), chunks.shape[0], cpu.PARAMETERS[kind.dtype], cpu.STATES[kind.states],
            int(kind.has_fast), int(kind.stochastic),
        )  # fmt: skip
    work.finish()


def _library() -> Any:
    return build.library("cuda_host.cpp", _FLAGS)
