"""Load Triton in one place, since the first import decides whether kernels are compiled or interpreted."""

from __future__ import annotations

import importlib
import os
from collections.abc import Collection
from types import ModuleType

from impls.implementation import NotRun

CHOSEN = "GAUGEBLOCK_PTX"
"""The variable that says to all processes of a run that its device is ``ptx``."""
VARIABLE = "TRITON_INTERPRET"
"""The variable that Triton reads at its first import. A value that the user set is kept."""


def interpret_without(devices: Collection[str]) -> None:
    """Have Triton kernels run in Triton's interpreter where no CUDA device is among ``devices``; imports nothing.

    On the device ``ptx`` they are compiled, whatever the user set: their code is what is executed.

    Call it before third-party code is loaded, which may import triton.
    """
    if "ptx" in devices:
        os.environ[VARIABLE], os.environ[CHOSEN] = "0", "1"
        return
    os.environ.pop(CHOSEN, None)
    if "cuda" not in devices:
        os.environ.setdefault(VARIABLE, "1")


def choose_interpreter() -> None:
    """Have Triton kernels run in Triton's interpreter where torch sees no CUDA device.

    Call it before anything that may import triton (torch.compile and bitsandbytes do): its functions are decorated at
    import and keep the choice made then.
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


def launches_on(device: str) -> bool:
    """Whether kernels take tensors of this type of device: of CUDA's, and of what interprets or stands in for it."""
    triton = load_triton()
    if device == "cuda" or (device == "cpu" and triton.knobs.runtime.interpret):
        return True
    try:
        return bool(triton.runtime.driver.active.get_active_torch_device().type == device)
    except RuntimeError:  # there is no driver
        return False


def require_computed_loops() -> None:
    """NotRun where this Triton's interpreter cannot loop up to a bound that the kernel computes.

    Before 3.7 it uses a one-element array as an index, which NumPy 2.4 and later refuse.
    """
    triton = load_triton()
    if interpreted() and tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 7):
        raise NotRun(
            f"Triton {triton.__version__}'s interpreter cannot run this kernel; on a CPU it takes triton>=3.7 "
            "(python -m pip install -c constraints.txt '.[torch]')"
        )
