"""Execute the CUDA kernel of our optimizer: in place of NVIDIA's compiler and driver in `impls.ademamix.backends.cuda`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

from conformance.ptx import compiling, device
from conformance.ptx.launch import program
from impls.implementation import NotRun, is_installed

TARGET = "compute_90"
"""What the PTX is made for."""


def install() -> None:
    """Have the backend's launches come here."""
    if is_installed("torch"):
        from impls.ademamix.backends import cuda

        cuda.STAND_IN = Executed()


class Executed:
    """A `impls.ademamix.backends.cuda.Launcher`."""

    def obstacle(self) -> Exception | None:
        """NotRun where no compiler is here."""
        from impls.ademamix.backends import cuda
        from impls.compiler import BackendUnavailable

        try:
            cuda.compiler()
        except BackendUnavailable:
            try:
                compiling.nvcc()
            except NotRun as error:
                return error
        return None

    def launch(self, kind: Any, chunk: int, threads: int, tables: Sequence[Any], aligned: bool) -> None:
        """Execute one launch. The tensors are found by the addresses in the tables."""
        made = program(ptx(kind, chunk, threads), "ademamix_step")
        arguments = [*(table.data_ptr() for table in tables), int(aligned)]
        device.execute(made, (tables[-1].shape[0], 1, 1), (threads, 1, 1), arguments, tables)


@functools.lru_cache(maxsize=64)
def ptx(kind: Any, chunk: int, threads: int) -> str:
    """The kernel of one kind in PTX."""
    from impls.ademamix.backends import cuda
    from impls.ademamix.build import SOURCES
    from impls.compiler import BackendUnavailable

    wanted = cuda.options(kind, TARGET, chunk, threads)
    try:
        cuda.compiler()
    except BackendUnavailable:
        architecture = f"-arch={TARGET}"
        return compiling.by_nvcc(SOURCES / "device.cu", (architecture, *wanted[1:]))
    return cuda.compile_kernel(wanted, "PTX").decode()
