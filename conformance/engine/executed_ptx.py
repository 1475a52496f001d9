"""The device ``ptx`` as harnesses see it: kernels that would be launched on a GPU are executed on the CPU."""

from __future__ import annotations

import functools
import importlib.util

from conformance.ptx import cuda_launches, torch_launches, triton_launches
from conformance.ptx.device import executing, torch_device

__all__ = ["executing", "install", "torch_device"]


@functools.cache
def install() -> None:
    """Have the launches of CUDA and Triton kernels executed from now on. NotRun where Triton interprets."""
    cuda_launches.install()
    torch_launches.install()
    if importlib.util.find_spec("triton") is not None:
        triton_launches.install()
