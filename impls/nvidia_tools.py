"""Find NVIDIA's programs: compilers and disassemblers, which come with Triton and with the CUDA toolkit."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path


def find_tool(name: str) -> str | None:
    """The path of one of NVIDIA's programs: beside Triton, or of a CUDA toolkit; None where there is none."""
    folders = [Path(os.environ[variable]) / "bin" for variable in ("CUDA_HOME", "CUDA_PATH") if variable in os.environ]
    spec = importlib.util.find_spec("triton")
    if spec is not None and spec.origin is not None:
        folders.insert(0, Path(spec.origin).parent / "backends" / "nvidia" / "bin")
    folders.append(Path("/usr/local/cuda/bin"))
    return shutil.which(name, path=os.pathsep.join(map(str, folders))) or shutil.which(name)
