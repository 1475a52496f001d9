"""Execute CUDA kernels that a plug compiles through torch: in place of ``torch.cuda._compile_kernel``."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from conformance.ptx import compiling, device
from conformance.ptx.faults import KernelFault
from conformance.ptx.launch import Program, Three, program
from conformance.ptx.text import parse
from impls import nvrtc
from impls.compiler import BackendUnavailable
from impls.implementation import is_installed

TARGET = "GAUGEBLOCK_PTX_TARGET"
"""The variable that names the compute capability to compile for, where a kernel names none: 90 (the default), say."""
FILE = "kernel.cu"
"""What messages call a source, which torch is given as a text."""
MOST_SHARED = 48 * 1024
"""Bytes of shared memory that a launch may ask for before ``set_shared_memory_config``."""


def install() -> None:
    """Have torch compile CUDA kernels for this device from now on."""
    if is_installed("torch"):
        import torch

        torch.cuda._compile_kernel = compile_kernel


def compile_kernel(
    kernel_source: str,
    kernel_name: str,
    compute_capability: str | None = None,
    cuda_include_dirs: Sequence[str] | None = None,
    nvcc_options: Sequence[str] | None = None,
) -> ExecutedKernel:
    """As ``torch.cuda._compile_kernel``. RuntimeError where the source is wrong, NotRun where no compiler is here."""
    target = compute_capability or os.environ.get(TARGET, "90")
    options = [f"--gpu-architecture=compute_{target}", "-std=c++17", "-lineinfo", *_torch_flags()]
    options += [f"-I{folder}" for folder in cuda_include_dirs or ()] + list(nvcc_options or ())
    text = _compiled(kernel_source, kernel_name, options)
    return ExecutedKernel(program(text, _entry(text, kernel_name)), kernel_name)


def _torch_flags() -> list[str]:
    """What torch adds, which takes operators of half precision away."""
    from torch.cuda import _utils

    return list(getattr(_utils, "_get_gpu_rtc_compatible_flags", list)())


def _compiled(source: str, name: str, options: Sequence[str]) -> str:
    """The PTX, by NVIDIA's run-time compiler or by nvcc."""
    try:
        library = nvrtc.library()
    except BackendUnavailable:
        return _by_nvcc(source, name, options)
    folders = [f"-I{folder}" for folder in nvrtc.include_folders()]
    try:
        return nvrtc.compiled(library, FILE, source.encode(), [*options, *folders], {}, "PTX", name).decode()
    except BackendUnavailable as error:
        raise RuntimeError(f"Kernel compilation failed: {error}") from None


def _by_nvcc(source: str, name: str, options: Sequence[str]) -> str:
    """As `_compiled`. A use of the name has a kernel made of a template."""
    named = f"\nstatic const void* gaugeblock_named = reinterpret_cast<const void*>(&{name});\n"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / FILE
        file.write_text(source + named)
        try:
            return compiling.made_by_nvcc(file, ("-diag-suppress=177", *options))
        except ValueError as error:
            raise RuntimeError(f"Kernel compilation failed: {error}") from None


def _entry(text: str, name: str) -> str:
    """The kernel's name in the PTX, where C++ names hold their lengths. RuntimeError where it is none or several."""
    kernels = list(parse(text))
    if name in kernels:
        return name
    base = re.split(r"[<\s]", name.strip())[0].rpartition("::")[2]
    found = [each for each in kernels if re.match(rf"_Z(N.*)?{len(base)}{re.escape(base)}(?![a-zA-Z0-9_]*{base})", each)]
    if len(found) != 1:
        raise RuntimeError(f"found the kernels {', '.join(kernels) or 'none'}, expected one named {name}")
    return found[0]


class ExecutedKernel:
    """In place of torch's compiled kernel: a call executes it on tensors of the CPU."""

    def __init__(self, made: Program, name: str) -> None:
        self.made, self.name = made, name
        self.configured = MOST_SHARED

    def set_shared_memory_config(self, shared_mem_bytes: int) -> None:
        """As torch's."""
        self.configured = max(MOST_SHARED, shared_mem_bytes)

    def __call__(
        self,
        grid: Three = (1, 1, 1),
        block: Three = (1, 1, 1),
        args: Sequence[Any] | None = None,
        shared_mem: int = 0,
        stream: Any = None,
    ) -> None:
        """Launch it; ``stream`` is ignored. KernelFault where the arguments are not those that the kernel reads."""
        if shared_mem > self.configured:
            raise RuntimeError(
                f"{self.name}: found {shared_mem} bytes of shared memory, expected {self.configured} at most; call "
                "set_shared_memory_config first"
            )
        given = list(args or ())
        tensors = [each for each in given if hasattr(each, "data_ptr")]
        values = [self._argument(number, each) for number, each in enumerate(given)]
        device.execute(self.made, grid, block, values, tensors, shared=shared_mem)

    def _argument(self, number: int, given: Any) -> int | float:
        """What torch hands over: a pointer, a C int or a C double, whatever the kernel reads."""
        parameters = self.made.kernel.parameters
        if number >= len(parameters):
            return 0  # the launch says how many there are
        size = parameters[number].size
        value: int | float
        if hasattr(given, "data_ptr"):
            kind, width, value = "the address of a tensor, 8 bytes", 8, given.data_ptr()
        elif isinstance(given, float):
            kind, width, value = "a Python float as a double, 8 bytes", 8, given
        elif isinstance(given, int):
            kind, width, value = "a Python int as an int, 4 bytes", 4, given
        else:
            raise TypeError(f"{self.name}: found an argument of {type(given).__name__}, expected a tensor, an int or a float")
        if size != width:
            raise KernelFault(f"{self.name}: torch hands over {kind}, and parameter {number} of the kernel takes {size}")
        return value
