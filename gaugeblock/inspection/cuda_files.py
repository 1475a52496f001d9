"""Compile CUDA files by nvcc, or by NVRTC where there is no nvcc, and read the kernels in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gaugeblock.inspection.architecture import HOPPER, Architecture
from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.inspection.machine_code import KernelCode, read
from gaugeblock.installation import CannotRun
from impls.nvidia_tools import find_tool

SPEC = re.compile(r"(?P<file>.*\.cuh?)(?::(?P<kernel>\w+))?")
"""A file of CUDA, and the name of one kernel in it where not all are wanted."""


def inspected(
    spec: str, flags: Sequence[str] = (), threads: int = 256, architecture: Architecture = HOPPER
) -> list[InspectedKernel]:
    """The kernels of ``path/to/file.cu``, or the one of ``path/to/file.cu:NAME``.

    A block is taken to have so many threads, which its code does not say. CannotRun says what is missing or wrong.
    """
    named = SPEC.fullmatch(spec)
    if named is None or not (file := Path(named["file"])).is_file():
        raise CannotRun(f"found no file {spec} (looked from {Path.cwd()}), expected path/to/file.cu")
    found = read(_compiled(file, flags, architecture))
    if not found:
        raise CannotRun(f"found no kernel in {file}; expected a __global__ function, of a template an instantiation")
    readable = {code.name: _readable(code.name) for code in found}
    if named["kernel"]:
        chosen = [code for code in found if _plain(readable[code.name]) == named["kernel"]]
        if not chosen:
            known = ", ".join(dict.fromkeys(map(_plain, readable.values())))
            raise CannotRun(f"found no kernel {named['kernel']} in {file}; it has: {known}")
        found = chosen
    return [
        InspectedKernel(readable[code.name], "", code, threads, _shared(code, architecture), architecture) for code in found
    ]


def _compiled(file: Path, flags: Sequence[str], architecture: Architecture) -> bytes:
    if (nvcc := find_tool("nvcc")) is None:
        return _by_nvrtc(file, flags, architecture)
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernels.cubin"
        command = [nvcc, "-cubin", f"-arch={architecture.name}", *flags, str(file), "-o", str(cubin)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in (done.stderr + done.stdout).splitlines() if "error" in line), done.stderr[:200])
            raise CannotRun(f"{file} does not compile for {architecture.name}: {first.strip()}")
        return cubin.read_bytes()


def _by_nvrtc(file: Path, flags: Sequence[str], architecture: Architecture) -> bytes:
    from impls import nvrtc
    from impls.compiler import BackendUnavailable

    try:
        compiler = nvrtc.library()
    except BackendUnavailable:
        raise CannotRun(
            f"{file} was not compiled: found neither nvcc nor NVRTC; get one with: pip install nvidia-cuda-nvrtc"
        ) from None
    folders = [f"--include-path={folder}" for folder in (file.resolve().parent, *nvrtc.include_folders())]
    options = [f"--gpu-architecture={architecture.name}", "-std=c++17", *folders, *flags]
    try:
        return nvrtc.compiled(compiler, str(file), file.read_bytes(), options, {})
    except BackendUnavailable as error:
        raise CannotRun(f"{file} does not compile for {architecture.name}, without nvcc: {error}") from None


def _shared(code: KernelCode, architecture: Architecture) -> int:
    """Bytes of a block's shared memory, without what the system keeps."""
    return max(0, code.resources.shared - 1024 * architecture.counts_reserved)


def _plain(name: str) -> str:
    """The function's name in a readable one: ``void summed<512>(float*)`` is ``summed``."""
    return re.split(r"[<(]", name)[0].split()[-1].rpartition("::")[2]


def _readable(name: str) -> str:
    """A mangled name as it stands in the file, where there is a program that knows."""
    if not name.startswith("_Z"):
        return name
    programs = (shutil.which("c++filt"), find_tool("cu++filt"))
    program = next((found for found in programs if found), None)
    return name if program is None else subprocess.run([program, name], capture_output=True, text=True).stdout.strip() or name
