"""Compile CUDA files for sm_90a by nvcc, and read all kernels in them."""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.inspection.machine_code import read, tool
from gaugeblock.installation import CannotRun


def inspected(file: Path, flags: Sequence[str], threads: int) -> list[InspectedKernel]:
    """The kernels of a file. A block is taken to have so many threads, which its code does not say. CannotRun without nvcc."""
    with tempfile.TemporaryDirectory() as folder:
        cubin = Path(folder) / "kernels.cubin"
        command = [tool("nvcc"), "-cubin", "-arch=sm_90a", "-Xptxas=-v", *flags, str(file), "-o", str(cubin)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in (done.stderr + done.stdout).splitlines() if "error" in line), done.stderr[:200])
            raise CannotRun(f"{file} does not compile: {first.strip()}")
        shared = _shared(done.stderr + done.stdout)
        found = read(cubin.read_bytes())
    if not found:
        raise CannotRun(f"found no kernel in {file}; expected a __global__ function, of a template an instantiation")
    return [InspectedKernel(_readable(code.name), "", code, threads, shared.get(code.name, 0)) for code in found]


def _shared(report: str) -> dict[str, int]:
    """Bytes of shared memory of each kernel, from what ptxas -v says."""
    parts = re.split(r"Compiling entry function '(\w+)'", report)[1:]
    found = {name: re.search(r"(\d+) bytes smem", text) for name, text in zip(parts[::2], parts[1::2], strict=True)}
    return {name: int(match[1]) for name, match in found.items() if match}


def _readable(name: str) -> str:
    """A mangled name as it stands in the file, where there is a program that knows."""
    if (program := shutil.which("c++filt")) is None or not name.startswith("_Z"):
        return name
    return subprocess.run([program, name], capture_output=True, text=True, check=True).stdout.strip()
