"""Triton is loaded in one place, because whether its kernels are compiled or interpreted is decided at its first import."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType


def load_triton() -> ModuleType:
    """Import triton and return it; where torch sees no CUDA device, kernels will run in Triton's interpreter.

    Call it before the first ``@triton.jit`` of the process. ``TRITON_INTERPRET`` set by the user is left as it is. Raises
    ImportError where torch or triton is missing.
    """
    torch = importlib.import_module("torch")
    if "triton" not in sys.modules and not torch.cuda.is_available():
        os.environ.setdefault("TRITON_INTERPRET", "1")
    return importlib.import_module("triton")


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: on the CPU, slowly, and with its own rules for bfloat16."""
    triton = load_triton()
    return bool(triton.knobs.runtime.interpret)
