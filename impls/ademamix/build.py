"""The C++ and CUDA sources of the optimizer, and their libraries; `impls.compiler` compiles them."""

from __future__ import annotations

import ctypes
from pathlib import Path

from impls import compiler

SOURCES = Path(__file__).parent / "csrc"


def library(source: str, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library built from ``csrc/SOURCE``. BackendUnavailable where it cannot be built or loaded."""
    return compiler.library(SOURCES / source, flags)
