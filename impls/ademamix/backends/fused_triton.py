"""One Triton launch for a whole list of tensors: each element is read once and written once, whatever the formats.

A table holds the addresses of every tensor and another says which chunk of which tensor a program steps, so that a thousand
small tensors cost as many launches as one large one: one. Tensors whose memory is not aligned to 16 bytes, or whose size would
break that alignment, go in a second launch without the promise that lets loads be vectorised.

Where torch sees no CUDA device the kernel runs in Triton's interpreter. 16-bit formats are handled as words of bits, because
the interpreter truncates where hardware rounds to bfloat16; that costs a device nothing beside its memory.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass

import torch

from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.backends.pointers import scalars_of, tables_of, walkable
from impls.compiler import BackendUnavailable
from impls.triton_support import interpreted, launches_on

PARAMETERS = {torch.float32: "float32", torch.bfloat16: "bfloat16", torch.float16: "float16"}


@dataclass(frozen=True)
class Shape:
    """How a launch is cut up: elements of a program, and warps that work on them. A multiple of 256 elements."""

    chunk: int
    warps: int


SHAPES = {"16": Shape(1024, 4), "8bit": Shape(2048, 8)}
"""By the bits of a moment: what is used where tools/ademamix_tuning.py was not asked."""
INTERPRETED = Shape(8192, 4)
"""The interpreter takes a millisecond a program, whatever its size."""


def shape_of(kind: Kind) -> Shape:
    """The launch shape for a kind; ADEMAMIX_TRITON_SHAPE=chunk,warps overrides it."""
    if given := os.environ.get("ADEMAMIX_TRITON_SHAPE"):
        chunk, warps = (int(part) for part in given.split(","))
        return Shape(chunk, warps)
    if interpreted():
        return INTERPRETED
    return SHAPES["8bit" if kind.states == "8bit" else "16"]


def obstacle(kind: Kind) -> Exception | None:
    """Refuses float64, whose scalars the kernel does not compute in, and where Triton is missing, says so."""
    from impls.ademamix.backends import UnsupportedByBackend

    if kind.dtype not in PARAMETERS:
        return UnsupportedByBackend(
            f"the Triton kernel's scalars are float32; {kind.dtype} parameters would not be computed in their own precision"
        )
    if importlib.util.find_spec("triton") is None:
        return BackendUnavailable("needs Triton, which is not installed; backend='foreach' does not")
    if not launches_on(kind.device):
        return BackendUnavailable(f"Triton compiles for CUDA devices, and these tensors are on {kind.device}")
    return None


def update(batch: Batch) -> None:
    """One launch for the list; two where some tensors are not aligned."""
    from impls.ademamix.backends.triton_kernel import step_kernel

    work = walkable(batch)
    if not work.numbers:
        return
    kind = batch.kind
    shape = shape_of(kind)
    tables = tables_of(work, shape.chunk)
    scalars, keys = scalars_of(work)
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(batch.theta[0]):  # type: ignore[no-untyped-call]
        for chunks, aligned in tables.launches:
            step_kernel[(chunks.shape[0],)](
                tables.addresses, scalars, keys, chunks,
                PARAMETER=PARAMETERS[kind.dtype], STATE=kind.states, HAS_FAST=kind.has_fast, STOCHASTIC=kind.stochastic,
                CAPTURABLE=kind.capturable, ALIGNED=aligned, CHUNK=shape.chunk, num_warps=shape.warps,
            )  # fmt: skip
    work.finish()


def launches(batch: Batch) -> int:
    """How many launches a step of this batch takes."""
    work = walkable(batch)
    return len(tables_of(work, shape_of(batch.kind).chunk).launches) if work.numbers else 0
