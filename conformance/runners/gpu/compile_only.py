"""A pytest plugin, ``-p conformance.runners.gpu.compile_only``: compile every Triton kernel of a run, and judge nothing.

Many processes do that at once, and the run that follows finds the kernels in Triton's cache. Nothing is launched, so that no
device is needed where `TARGET` names the compute capability to compile for: then a driver without a device stands in.
"""

# mypy: allow-untyped-calls

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest

from impls.implementation import NotRun, load_target
from impls.triton_support import VARIABLE, load_triton

TARGET = "GAUGEBLOCK_COMPILE_FOR"
"""The variable that names a compute capability, such as 90, to compile for where there is no device."""


SUBJECTS = (
    "conformance.sigmoid_attention.harness.torch_backend:TorchSubject",
    "conformance.ademamix.harness.subject:Connected",
)
"""What calls an implementation, by system."""


def pytest_configure(config: pytest.Config) -> None:
    """Before anything is collected: Triton keeps what it finds at its import."""
    if target := os.environ.get(TARGET):
        os.environ[VARIABLE] = "0"
        compile_without_device(int(target))
    launch_nothing()
    stop_after_calls()


def launch_nothing() -> None:
    """Let every launch of a kernel compile it and end."""
    load_triton()
    from triton.runtime.jit import JITFunction

    launch: Callable[..., Any] = JITFunction.run

    def compiled(self: Any, *arguments: Any, grid: Any, warmup: bool, **keywords: Any) -> Any:
        return launch(self, *arguments, grid=grid, warmup=True, **keywords)

    JITFunction.run = compiled


def stop_after_calls() -> None:
    """Let every call of an implementation end its check: there is no result to compare, and the reference is not computed."""

    def ended(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any, **keywords: Any) -> Any:
            call(*arguments, **keywords)
            raise NotRun("compiled alone")

        return called

    subject, connected = map(load_target, SUBJECTS)
    subject._forward, subject._forward_backward = ended(subject._forward), ended(subject._forward_backward)
    connected.run = ended(connected.run)


def compile_without_device(capability: int) -> None:
    """Have Triton compile for a device that is not here, and our backends take tensors on the CPU for ones on it."""
    load_triton()
    from triton.backends.compiler import GPUTarget
    from triton.runtime import driver

    class AbsentDevice:
        """What Triton asks a driver before it compiles."""

        def get_current_target(self) -> Any:
            return GPUTarget("cuda", capability, 32)

        def get_current_device(self) -> int:
            return 0

        def get_current_stream(self, device: int | None = None) -> int:
            return 0

        def set_current_device(self, device: int) -> None: ...

        def get_device_capability(self, device: int = 0) -> tuple[int, int]:
            return divmod(capability, 10)

    driver.set_active(AbsentDevice())
    from impls.ademamix.backends import fused_triton
    from impls.compiler import BackendUnavailable

    refusing = fused_triton.obstacle

    def obstacle(kind: Any) -> Exception | None:
        found = refusing(kind)
        return None if isinstance(found, BackendUnavailable) else found

    fused_triton.obstacle = obstacle
