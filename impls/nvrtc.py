"""NVIDIA's run-time compiler (libnvrtc): it makes machine code of CUDA C++ without nvcc and without a GPU."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from impls.compiler import BackendUnavailable

MAJORS = ("13", "12")
"""The major versions of CUDA that are looked for, in this order."""


def library(majors: Sequence[str] = MAJORS, more: Sequence[Path] = ()) -> Any:
    """The loaded library: of NVIDIA's Python packages, of the folders in ``more``, or of a CUDA toolkit.

    BackendUnavailable where there is none.
    """
    names = [f"libnvrtc.so.{major}" for major in majors] + [f"nvrtc64_{major}0_0.dll" for major in majors]
    folders = [*packaged("lib"), *packaged("bin"), *more, *(home / "lib64" for home in _toolkits())]
    for candidate in [folder / name for folder in folders for name in names if (folder / name).is_file()] + names:
        try:
            if isinstance(candidate, Path):  # what the compiler opens by name alone must be there already
                for helper in candidate.parent.glob("libnvrtc-builtins.so*"):
                    ctypes.CDLL(str(helper))
            return ctypes.CDLL(str(candidate))
        except OSError:
            continue
    raise BackendUnavailable(f"needs NVIDIA's run-time compiler ({names[0]}), which comes with torch for CUDA; found none")


def packaged(folder: str) -> list[Path]:
    """The folders of that name in NVIDIA's Python packages."""
    try:
        import nvidia
    except ImportError:
        return []
    return [found for package in nvidia.__path__ for found in sorted(Path(package).glob(f"*/{folder}"))]


def include_folders() -> list[Path]:
    """Where CUDA's headers may be, such as cuda_fp16.h."""
    return [folder for folder in (*packaged("include"), *(home / "include" for home in _toolkits())) if folder.is_dir()]


def _toolkits() -> list[Path]:
    homes = [Path(os.environ[name]) for name in ("CUDA_HOME", "CUDA_PATH") if name in os.environ]
    return [*homes, Path("/usr/local/cuda")]


def compiled(
    nvrtc: Any,
    name: str,
    source: bytes,
    options: Sequence[str],
    headers: Mapping[str, bytes],
    what: str = "CUBIN",
    kernel: str = "",
) -> bytes:
    """The machine code of a source (a ``CUBIN``), or its ``PTX``. BackendUnavailable with the compiler's first complaint.

    ``kernel`` names one that must be in it, ``scale<float>`` for instance.
    """
    program = ctypes.c_void_p()
    texts = (ctypes.c_char_p * len(headers))(*headers.values())
    names = (ctypes.c_char_p * len(headers))(*(header.encode() for header in headers))
    _check(nvrtc, nvrtc.nvrtcCreateProgram(ctypes.byref(program), source, name.encode(), len(headers), texts, names))
    try:
        if kernel:
            _check(nvrtc, nvrtc.nvrtcAddNameExpression(program, kernel.encode()))
        words = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
        if nvrtc.nvrtcCompileProgram(program, len(options), words):
            log = _text(nvrtc, program, "ProgramLog").rstrip(b"\0").decode(errors="replace")
            complaint = next((line for line in log.splitlines() if "error" in line), log.strip() or "no message")
            raise BackendUnavailable(f"NVRTC cannot compile {name}: {complaint}")
        return _text(nvrtc, program, what)
    finally:
        nvrtc.nvrtcDestroyProgram(ctypes.byref(program))


def _text(nvrtc: Any, program: ctypes.c_void_p, what: str) -> bytes:
    size = ctypes.c_size_t()
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    held = ctypes.create_string_buffer(size.value)
    _check(nvrtc, getattr(nvrtc, f"nvrtcGet{what}")(program, held))
    return held.raw


def _check(nvrtc: Any, code: int) -> None:
    if code:
        nvrtc.nvrtcGetErrorString.restype = ctypes.c_char_p
        raise BackendUnavailable(f"NVRTC says {nvrtc.nvrtcGetErrorString(code).decode()}")
