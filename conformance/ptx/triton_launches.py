"""Execute Triton's kernels: a driver in place of NVIDIA's, which compiles for sm_90 and launches into the interpreter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.ptx import device
from conformance.ptx.lanes import WARP
from conformance.ptx.launch import Program, program
from conformance.ptx.tensor_maps import TensorMap
from impls.implementation import NotRun

CAPABILITY = "GAUGEBLOCK_PTX_TARGET"
"""The variable that names the compute capability to compile for: 90 (the default), or 80 for kernels without wgmma."""
MOST_SHARED = 227 * 1024


def install() -> None:
    """Make it Triton's driver. NotRun where Triton was told to interpret, by which kernels are decorated at import."""
    import triton

    if triton.knobs.runtime.interpret:
        raise NotRun(
            "Triton's own interpreter is on in this process (TRITON_INTERPRET=1); --device ptx needs compiled kernels"
        )
    triton.runtime.driver.set_active(ExecutingDriver())
    triton.knobs.runtime.kernel_load_start_hook.add(_remember)


_files: dict[str, Any] = {}


def _remember(module: Any, function: Any, name: str, metadata_group: Mapping[str, Any], key: str) -> None:
    """Where Triton keeps what it made of the kernel that it is about to load."""
    _files.clear()
    _files.update(metadata_group)


class Utilities:
    """What Triton asks a driver for."""

    def load_binary(self, name: str, kernel: bytes, shared: int, device: int) -> tuple[Any, Any, int, int, int]:
        """In place of a module and a function: the program made of the kernel's PTX."""
        path = next(Path(path) for file, path in _files.items() if str(file).endswith(".ptx"))
        made = program(path.read_text(), name)
        return made, made, 0, 0, 1024

    def get_device_properties(self, device: int) -> dict[str, int]:
        """Of a Hopper."""
        return {
            "max_shared_mem": MOST_SHARED, "multiprocessor_count": 132, "max_num_regs": 65536, "warpSize": WARP,
            "sm_clock_rate": 1, "mem_clock_rate": 1, "mem_bus_width": 1,
        }  # fmt: skip


class ExecutedLaunch:
    """Carries out the launches of one compiled kernel, in place of Triton's launcher."""

    def __init__(self, source: Any, metadata: Any) -> None:
        self.metadata = metadata
        names = source.fn.arg_names
        constants = {(names.index(k),) if isinstance(k, str) else k for k in getattr(source, "constants", {})}
        self.kinds = list(source.signature.values())
        self.given = [n for n, kind in enumerate(self.kinds) if kind != "constexpr" and (n,) not in constants]

    def __call__(self, x: int, y: int, z: int, stream: Any, function: Program, *passed: Any) -> None:
        """Execute the kernel on the arguments, of which tensors are pointers."""
        if self.metadata.num_ctas != 1:
            raise NotRun("the PTX interpreter does not execute clusters of blocks")
        scratch = getattr(self.metadata, "global_scratch_size", 0) or getattr(self.metadata, "profile_scratch_size", 0)
        if scratch:
            raise NotRun("the PTX interpreter does not execute kernels that need scratch memory for tensor descriptors")
        arguments = passed[4:]  # behind metadata and hooks
        chosen = [arguments[n] for n in self.given]
        maps = iter(getattr(self.metadata, "tensordesc_meta", None) or ())
        tensors: list[Any] = []
        values: list[Any] = []
        for given in chosen:
            if hasattr(given, "data_ptr"):
                tensors.append(given)
                values.append(given.data_ptr())
            elif hasattr(given, "base"):
                tensors.append(given.base)
                values += _described(given, next(maps))
            else:
                values.append(given)
        values += [0] * (len(function.kernel.parameters) - len(values))
        block = (WARP * self.metadata.num_warps, 1, 1)
        device.execute(function, (x, y, z), block, values, tensors, shared=self.metadata.shared)


def _described(descriptor: Any, form: Mapping[str, Any]) -> list[Any]:
    """The parameters that a tensor descriptor of the host becomes: the map, the shape and the strides."""
    size = int(form["elem_size"])
    tensor_map = TensorMap(
        descriptor.base.data_ptr(), size, int(form["swizzle"]), descriptor.padding == "nan", tuple(descriptor.shape[::-1]),
        tuple(int(stride) * size for stride in descriptor.strides[::-1]), tuple(int(n) for n in form["block_size"][::-1]),
    )  # fmt: skip
    return [tensor_map.encoded(), *descriptor.shape, *descriptor.strides]


class ExecutingDriver:
    """In place of Triton's CUDA driver, for tensors on the CPU."""

    launcher_cls = ExecutedLaunch

    def __init__(self) -> None:
        self.utils = Utilities()

    def get_current_device(self) -> int:
        return 0

    def set_current_device(self, device: int) -> None:
        """There is one."""

    def get_current_stream(self, device: int) -> int:
        return 0

    def get_device_capability(self, device: int = 0) -> tuple[int, int]:
        return divmod(int(os.environ.get(CAPABILITY, "90")), 10)

    def get_current_target(self) -> Any:
        from triton.backends.compiler import GPUTarget

        return GPUTarget("cuda", int(os.environ.get(CAPABILITY, "90")), WARP)

    def get_active_torch_device(self) -> Any:
        import torch

        return torch.device("cpu")

    def get_device_interface(self) -> Any:
        import torch

        return torch.cpu

    def get_benchmarker(self) -> Any:
        """A tuner takes the first configuration that runs: times mean nothing here."""
        return lambda call, **options: (call(), [0.0] * 3)[1]

    def get_empty_cache_for_benchmark(self) -> Any:
        import torch

        return torch.empty(1)

    def clear_cache(self, cache: Any) -> None:
        """There is none."""
