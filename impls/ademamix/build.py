"""The C++ and CUDA sources of this room, and their libraries; how they are compiled is `impls.compiling`'s."""

from __future__ import annotations

import ctypes
from pathlib import Path

from impls import compiling

SOURCES = Path(__file__).parent / "csrc"


def library(source: str, flags: tuple[str, ...] = ()) -> ctypes.CDLL:
    """The shared library built from ``csrc/SOURCE``. BackendUnavailable where it cannot be built or loaded."""
    return compiling.library(SOURCES / source, flags)
