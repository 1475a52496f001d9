"""The device ``ptx``: kernels that would be launched on a GPU are executed here, on tensors of the CPU."""

from __future__ import annotations

import contextlib
import gc
import sys
from collections.abc import Iterator, Sequence
from typing import Any

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


def execute(
    program: Program, grid: Three, block: Three, arguments: Sequence[Any], tensors: Sequence[Any], *, shared: int = 0
) -> Stores:
    """ExecutedLaunch on tensors. Memory that the kernel knows by a pointer in memory is looked for among torch's tensors."""
    _launches.append(program.kernel.name)
    seed = len(_launches) if program.synchronises else None
    allocations = [whole(t, f"tensor {number}") for number, t in enumerate(tensors)]
    settings = Settings(seed, Tensors().find)
    return launch(program, grid, block, arguments, allocations, shared=shared, settings=settings)


def whole(tensor: Any, name: str) -> Allocation:
    """The memory that a tensor is a view of: what a device's allocator would have handed out."""
    storage = tensor.untyped_storage()
    return Allocation(storage.data_ptr(), storage.nbytes(), f"the storage of {name}")


class Tensors:
    """Every tensor that Python knows, looked for once: the kernel may reach one by an address that lies in memory."""

    def __init__(self) -> None:
        self._held: list[Allocation] | None = None

    def find(self, address: int) -> Allocation | None:
        """The storage that the address is in, or None."""
        if self._held is None:
            self._held = list(_storages())
        return next((held for held in self._held if held.base <= address < held.end), None)


def _storages() -> Iterator[Allocation]:
    torch = sys.modules["torch"]
    for found in gc.get_objects():
        if issubclass(type(found), torch.Tensor):
            with contextlib.suppress(RuntimeError, NotImplementedError):
                kind = f"{str(found.dtype).removeprefix('torch.')} tensor {tuple(found.shape)}"
                yield whole(found, kind)
