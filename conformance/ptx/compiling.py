"""Compile CUDA sources to PTX without a device: by NVIDIA's run-time compiler where it is, else by nvcc."""

from __future__ import annotations

import functools
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from impls.implementation import NotRun
from impls.nvidia_tools import find_tool


def nvcc() -> str:
    """The path of nvcc. NotRun where there is none."""
    if (found := find_tool("nvcc")) is None:
        raise NotRun("needs nvcc or NVIDIA's run-time compiler to make PTX; found neither (CUDA_HOME names a toolkit)")
    return found


@functools.lru_cache(maxsize=64)
def by_nvcc(source: Path, options: Sequence[str]) -> str:
    """The PTX of a CUDA file that does not change. NotRun where nvcc is missing or refuses it."""
    try:
        return made_by_nvcc(source, options)
    except ValueError as error:
        raise NotRun(f"nvcc cannot compile {source.name}: {error}") from None


def made_by_nvcc(source: Path, options: Sequence[str]) -> str:
    """The PTX of a CUDA file. NotRun where nvcc is missing, ValueError with its first complaint where it refuses it."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "kernel.ptx"
        command = [nvcc(), "-ptx", *options, str(source), "-o", str(made)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            first = next((line for line in done.stderr.splitlines() if "error" in line), done.stderr[:200])
            raise ValueError(first.strip())
        return made.read_text()
