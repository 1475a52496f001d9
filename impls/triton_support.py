"""Triton is loaded in one place, because whether its kernels are compiled or interpreted is decided at its first import."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from types import ModuleType

from impls.implementation import NotRun

VARIABLE = "TRITON_INTERPRET"
"""What Triton reads at its first import; where the user has set it, it is left as it is."""


def interpret_without(devices: Collection[str]) -> None:
    """Where a run is on no CUDA device, have Triton kernels run in Triton's interpreter; imports nothing.

    For whoever knows the devices: call it before a stranger's code, which may import triton, is loaded.
    """
    if "cuda" not in devices:
        os.environ.setdefault(VARIABLE, "1")


def choose_interpreter() -> None:
    """Where torch sees no CUDA device, have Triton kernels run in Triton's interpreter.

    Call it before anything that may import triton (torch.compile and bitsandbytes do): functions of triton.language that
    are decorated at import keep the choice made then.
    """
    torch = importlib.import_module("torch")
    if not torch.cuda.is_available():
        os.environ.setdefault(VARIABLE, "1")


def load_triton() -> ModuleType:
    """Choose, import triton and return it. ImportError where torch or triton is missing."""
    choose_interpreter()
    return importlib.import_module("triton")


def interpreted() -> bool:
    """Whether kernels run in Triton's interpreter: on the CPU, slowly, and with its own rules for bfloat16."""
    triton = load_triton()
    return bool(triton.knobs.runtime.interpret)


def require_computed_loops() -> None:
    """NotRun where kernels are interpreted by a Triton whose interpreter cannot loop up to a bound that the kernel computes.

    Before 3.7 it turns a one-element array into an index, which NumPy 2.4 and later refuse.
    """
    triton = load_triton()
    if interpreted() and tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 7):
        raise NotRun(
            f"Triton {triton.__version__}'s interpreter cannot run this kernel; on a CPU it takes triton>=3.7 "
            "(python -m pip install -c constraints.txt '.[torch]')"
        )
