"""CUDA C++ (csrc/device.cu), compiled at the first step by the run-time compiler that comes with torch; one launch for a list.

It needs NVIDIA's run-time compiler (libnvrtc) and driver (libcuda), and no nvcc.
"""

from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch

from impls import nvrtc
from impls.ademamix.backends.batch import Batch, Kind
from impls.ademamix.backends.pointers import scalars_of, tables_of, walkable
from impls.ademamix.build import SOURCES
from impls.compiler import BackendUnavailable

CHUNK, THREADS = 4096, 256
_PARAMETERS = {torch.float32: "Float32", torch.bfloat16: "BFloat16", torch.float16: "Float16"}
_MOMENTS = {"float32": "Float32", "bfloat16": "BFloat16", "8bit": "Block8"}


class Launcher(Protocol):
    """Compiles and launches the kernel where no device does."""

    def obstacle(self) -> Exception | None:
        """Why it cannot, or None."""

    def launch(self, kind: Kind, chunk: int, threads: int, tables: Sequence[torch.Tensor], aligned: bool) -> None:
        """One launch; ``tables`` are the kernel's pointers, of which the last has a row for each block."""


STAND_IN: Launcher | None = None
"""In place of NVIDIA's compiler and driver, for tensors on the CPU; None: those are used."""


def obstacle(kind: Kind) -> Exception | None:
    """Refuses what the kernel does not compute, and says what is missing on this machine."""
    from impls.ademamix.backends import UnsupportedByBackend

    if STAND_IN is None and kind.device != "cuda":
        return UnsupportedByBackend(f"it steps tensors on CUDA devices, these are on {kind.device}")
    if kind.dtype not in _PARAMETERS:
        return UnsupportedByBackend(f"the kernel computes in float32; {kind.dtype} parameters need more")
    if STAND_IN is not None:
        return STAND_IN.obstacle()
    if torch.version.hip is not None:
        return BackendUnavailable("this torch is built for ROCm, and the kernel is compiled for NVIDIA devices")
    try:
        compiler()
        _driver()
    except BackendUnavailable as error:
        return error
    return None


def shape_of() -> tuple[int, int]:
    """Elements and threads of a block; ADEMAMIX_CUDA_SHAPE=chunk,threads overrides them."""
    if given := os.environ.get("ADEMAMIX_CUDA_SHAPE"):
        chunk, threads = (int(part) for part in given.split(","))
        return chunk, threads
    return CHUNK, THREADS


def update(batch: Batch) -> None:
    """One launch for the list; two where some tensors are not aligned to 16 bytes."""
    work = walkable(batch)
    if not work.numbers:
        return
    chunk, threads = shape_of()
    tables = tables_of(work, chunk)
    scalars, keys = scalars_of(work)
    if STAND_IN is not None:
        for chunks, aligned in tables.launches:
            given = (tables.addresses, scalars, keys, chunks)
            STAND_IN.launch(batch.kind._replace(capturable=False), chunk, threads, given, aligned)
        work.finish()
        return
    with torch.cuda.device_of(batch.theta[0]):  # type: ignore[no-untyped-call]
        stream = torch.cuda.current_stream().cuda_stream
        function = _function(batch.theta[0].device.index, batch.kind._replace(capturable=False), chunk, threads)
        for chunks, aligned in tables.launches:
            arguments = [ctypes.c_void_p(t.data_ptr()) for t in (tables.addresses, scalars, keys, chunks)]
            _launch(function, chunks.shape[0], threads, stream, [*arguments, ctypes.c_int(int(aligned))])
    work.finish()


# --- Compiling ---------------------------------------------------------------------------------------------------------------


def options(kind: Kind, architecture: str, chunk: int = CHUNK, threads: int = THREADS) -> list[str]:
    """What the compiler is told for one variant of the kernel; ``architecture`` is like ``sm_90a``."""
    definitions = {
        "PARAMETER": _PARAMETERS[kind.dtype],
        "MOMENT": _MOMENTS[kind.states],
        "HAS_FAST": str(kind.has_fast).lower(),
        "STOCHASTIC": str(kind.stochastic).lower(),
        "CHUNK": chunk,
        "THREADS": threads,
    }
    return [f"--gpu-architecture={architecture}", "-std=c++17", *(f"-D{name}={value}" for name, value in definitions.items())]


def compile_kernel(wanted: Sequence[str], what: str = "CUBIN") -> bytes:
    """The machine code for these options, or the ``PTX``. BackendUnavailable with the compiler's first complaint."""
    source, header = ((SOURCES / name).read_bytes() for name in ("device.cu", "ademamix_step.h"))
    return nvrtc.compiled(compiler(), "device.cu", source, wanted, {"ademamix_step.h": header}, what)


@functools.lru_cache(maxsize=1)
def compiler() -> Any:
    """NVIDIA's run-time compiler: the one that torch brings, else the system's. BackendUnavailable where there is none."""
    major = (torch.version.cuda or "").partition(".")[0]
    return nvrtc.library([major] if major else nvrtc.MAJORS, [Path(torch.__file__).parent / "lib"])


# --- Launching ---------------------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1)
def _driver() -> Any:
    for name in ("libcuda.so.1", "nvcuda.dll"):
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    raise BackendUnavailable("needs NVIDIA's driver (libcuda), and there is none")


@functools.lru_cache
def _function(device: int, kind: Kind, chunk: int, threads: int) -> ctypes.c_void_p:
    major, minor = torch.cuda.get_device_capability(device)
    image = compile_kernel(options(kind, f"sm_{major}{minor}", chunk, threads))
    _make_current(device)
    module, function = ctypes.c_void_p(), ctypes.c_void_p()
    _call("cuModuleLoadData", ctypes.byref(module), image)
    _call("cuModuleGetFunction", ctypes.byref(function), module, b"ademamix_step")
    return function


def _make_current(device: int) -> None:
    """torch makes a context current at its first call in a thread, which may be still to come."""
    context = ctypes.c_void_p()
    _call("cuCtxGetCurrent", ctypes.byref(context))
    if not context.value:
        handle = ctypes.c_int()
        _call("cuDeviceGet", ctypes.byref(handle), device)
        _call("cuDevicePrimaryCtxRetain", ctypes.byref(context), handle)
        _call("cuCtxSetCurrent", context)


def _launch(function: ctypes.c_void_p, blocks: int, threads: int, stream: int, arguments: list[Any]) -> None:
    _make_current(torch.cuda.current_device())
    places = (ctypes.c_void_p * len(arguments))(*(ctypes.cast(ctypes.pointer(a), ctypes.c_void_p) for a in arguments))
    _call(
        "cuLaunchKernel", function, ctypes.c_uint(blocks), ctypes.c_uint(1), ctypes.c_uint(1), ctypes.c_uint(threads),
        ctypes.c_uint(1), ctypes.c_uint(1), ctypes.c_uint(0), ctypes.c_void_p(stream), places, None,
    )  # fmt: skip


def _call(name: str, *arguments: Any) -> None:
    code = getattr(_driver(), name)(*arguments)
    if code:
        text = ctypes.c_char_p()
        _driver().cuGetErrorString(code, ctypes.byref(text))
        raise RuntimeError(f"{name}: {(text.value or b'unknown error').decode()}")
