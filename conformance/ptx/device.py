"""The device ``ptx``: kernels that would be launched on a GPU are executed here, on tensors of the CPU."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from conformance.ptx.launch import Program, Settings, Three, launch
from conformance.ptx.memory import Allocation, Stores
from impls.implementation import NotRun

_launches: list[str] = []
"""The kernels launched in this process, in order."""


def torch_device(device: str) -> str:
    """What torch calls the device whose memory the tensors are in."""
    return "cpu" if device == "ptx" else device


@contextlib.contextmanager
def executing(device: str) -> Iterator[None]:
    """NotRun, on this device, where nothing within launched a kernel: then nothing was tested."""
    before = len(_launches)
    yield
    if device == "ptx" and len(_launches) == before:
        raise NotRun("launched no kernel that the PTX interpreter sees, so that there is nothing to say on this device")


@functools.cache
def install() -> None:
    """Have Triton's launches, and those of our own CUDA kernels, executed from now on. NotRun where Triton interprets."""
    from conformance.ptx import cuda_launches

    cuda_launches.install()
    if importlib.util.find_spec("triton") is not None:
        from conformance.ptx import triton_launches

        triton_launches.install()


def execute(
    program: Program, grid: Three, block: Three, arguments: Sequence[Any], tensors: Sequence[Any], *, shared: int = 0
) -> Stores:
    """Launch on tensors. Memory that the kernel knows by a pointer in memory is looked for among torch's tensors."""
    _launches.append(program.kernel.name)
    seed = len(_launches) if program.synchronises else None
    allocations = [whole(t, f"tensor {number}") for number, t in enumerate(tensors)]
    settings = Settings(seed, _among_tensors)
    return launch(program, grid, block, arguments, allocations, shared=shared, settings=settings)


def whole(tensor: Any, name: str) -> Allocation:
    """The memory that a tensor is a view of: what a device's allocator would have handed out."""
    storage = tensor.untyped_storage()
    return Allocation(storage.data_ptr(), storage.nbytes(), f"the storage of {name}")


def _among_tensors(address: int) -> Allocation | None:
    torch = sys.modules["torch"]
    for found in gc.get_objects():
        if issubclass(type(found), torch.Tensor):
            with contextlib.suppress(RuntimeError, NotImplementedError):
                storage = found.untyped_storage()
                begin = storage.data_ptr()
                if begin <= address < begin + storage.nbytes():
                    return Allocation(begin, storage.nbytes(), f"the storage of a {str(found.dtype)[6:]} tensor {tuple(found.shape)}")
    return None


def seed_of(number: int) -> np.random.Generator:
    """The order of the launch of this number."""
    return np.random.default_rng(number)
