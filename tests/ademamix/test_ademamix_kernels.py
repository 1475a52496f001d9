"""The kernels launch once for a list, compile for a device that is not there, and their sources build where tools exist."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from impls import compiler
from impls.ademamix import build
from impls.ademamix.backends import Batch, Kind, backend_named, cuda, fused_triton, pointers
from impls.ademamix.optimizer import AdEMAMix
from impls.triton_support import choose_interpreter
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class

choose_interpreter()

ROOT = Path(__file__).resolve().parents[2]
FLOAT32 = Kind("cpu", torch.float32, "float32", True, False, False)


def _batches(parameters: list[torch.nn.Parameter]) -> list[tuple[str, Batch]]:
    for p in parameters:
        p.grad = torch.ones_like(p)
    return AdEMAMix(parameters, backend="eager")._batches(None, None)


def test_a_thousand_tensors_of_any_size_in_two_groups_are_one_launch() -> None:
    parameters = [torch.nn.Parameter(torch.zeros(n % 97 + 1)) for n in range(1000)]
    optimizer = AdEMAMix([{"params": parameters[:500]}, {"params": parameters[500:], "lr": 0.1}], backend="eager")
    for p in parameters:
        p.grad = torch.ones_like(p)
    ((_, batch),) = optimizer._batches(None, None)
    assert len(batch.theta) == 1000
    aligned = all(t.data_ptr() % 16 == 0 for t in (*batch.theta, *batch.g, *batch.m1, *batch.m2, *batch.nu))
    assert fused_triton.launches(batch) == (1 if aligned else 2)


def test_launches_are_counted_where_they_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    from impls.ademamix.backends import triton_kernel

    grids: list[Any] = []

    class Counted:
        def __getitem__(self, grid: Any) -> Any:
            grids.append(grid)
            return lambda *a, **k: None

    monkeypatch.setattr(triton_kernel, "step_kernel", Counted())
    ((_, batch),) = _batches([torch.nn.Parameter(torch.zeros(64, 100)) for _ in range(20)])
    fused_triton.update(batch)
    assert grids == [(20,)]


def test_chunks_cover_every_element_of_every_tensor_once() -> None:
    sizes = (1, 255, 256, 257, 8192, 8193, 20_000)
    ((_, batch),) = _batches([torch.nn.Parameter(torch.zeros(n)) for n in (*sizes, 0)])
    work = pointers.walkable(batch)
    tables = pointers.tables_of(work, 256)
    seen = [np.zeros(n, dtype=int) for n in sizes]
    for chunks, _ in tables.launches:
        for tensor, number in chunks.tolist():
            seen[tensor][256 * number : 256 * (number + 1)] += 1
            assert 256 * number < sizes[tensor]
    assert all((s == 1).all() for s in seen)
    assert pointers.tables_of(pointers.walkable(batch), 256) is tables


def test_tables_of_a_recorded_graph_outlive_those_of_other_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    for kept in ("_KEPT", "_RECORDED"):
        monkeypatch.setattr(pointers, kept, {})
    batches = [_batches([torch.nn.Parameter(torch.zeros(300))])[0][1] for _ in range(100)]
    works = [pointers.walkable(batch) for batch in batches]
    first = pointers.tables_of(works[0], 256)
    assert not pointers._RECORDED
    with monkeypatch.context() as recording:
        recording.setattr(torch.cuda, "is_initialized", lambda: True)
        recording.setattr(torch.cuda, "is_current_stream_capturing", lambda: True)
        assert pointers.tables_of(works[0], 256) is first
    for work in works[1:]:
        pointers.tables_of(work, 256)
    assert all(kept is not first for kept in pointers._KEPT.values())
    (recorded,) = pointers._RECORDED.values()
    assert recorded is first


def test_a_step_on_a_cuda_device_waits_for_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Scalars and keys go there by one copy, from pinned memory: the host waits while a copy reads memory that is pageable."""
    ((_, batch),) = _batches([torch.nn.Parameter(torch.ones(n)) for n in (5, 300, 17)])
    work = pointers.walkable(batch)
    expected = pointers.scalars_of(work)
    copies: list[tuple[bool, Any]] = []
    pinned: list[int] = []
    real = torch.empty

    def empty(*size: Any, pin_memory: bool = False, **keywords: Any) -> torch.Tensor:
        made = real(*size, **keywords)
        if pin_memory:
            pinned.append(made.data_ptr())
        return made

    def to(self: torch.Tensor, device: torch.device, non_blocking: bool = False) -> torch.Tensor:
        copies.append((self.data_ptr() in pinned, non_blocking))
        return self

    batch.device = torch.device("cuda")
    monkeypatch.setattr(torch, "empty", empty)
    monkeypatch.setattr(torch.Tensor, "to", to)
    found = pointers.scalars_of(work)
    assert copies == [(True, True)]
    for one, other in zip(found, expected, strict=True):
        assert one.dtype == other.dtype
        assert torch.equal(one, other)
    assert found[0].abs().sum() > 0


def test_triton_kernel_for_hopper_moves_sixteen_bytes_at_once_and_spills_nothing() -> None:
    environment = {**os.environ, "TRITON_INTERPRET": "0", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(ROOT / "tests" / "ademamix" / "compile_for_hopper.py")]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    for line in done.stdout.splitlines():
        parameter, state, _, _, registers, stack, wide = line.split()[:7]
        assert int(registers) <= 128, line
        assert int(stack) == 0, line
        assert int(wide) >= (14 if (parameter, state) == ("float32", "float32") else 3), line


def test_missing_compilers_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GAUGEBLOCK_CACHE", str(tmp_path))
    monkeypatch.setenv("CXX", "no-such-compiler")
    compiler.library.cache_clear()
    try:
        with pytest.raises(compiler.BackendUnavailable, match="needs a C\\+\\+ compiler"):
            build.library("host.cpp")
        failing = tmp_path / "c++"
        failing.write_text("#!/bin/sh\necho 'error: this is no compiler' >&2\nexit 1\n")
        failing.chmod(0o755)
        monkeypatch.setenv("CXX", str(failing))
        if sys.platform != "win32":
            with pytest.raises(compiler.BackendUnavailable, match=r"cannot compile host\.cpp: error: this is no compiler"):
                build.library("host.cpp")
    finally:
        compiler.library.cache_clear()


def _toolkits() -> list[str]:
    return ["nvcc"] if shutil.which("nvcc") else []


@pytest.mark.parametrize("tool", _toolkits())
@pytest.mark.parametrize("states", ["float32", "bfloat16", "8bit"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_cuda_source_compiles_for_hopper_and_spills_nothing(
    tool: str, dtype: torch.dtype, states: str, tmp_path: Path
) -> None:
    kind = Kind("cuda", dtype, states, dtype != torch.float16, dtype == torch.bfloat16, False)
    source = build.SOURCES / "device.cu"
    command = [tool, "-cubin", "-O3", "-Xptxas", "-v", *cuda.options(kind, "sm_90a"), "-o", str(tmp_path / "k"), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "0 bytes spill stores, 0 bytes spill loads" in done.stderr
    assert "warning" not in done.stderr


def test_run_time_compiler_makes_the_same_kernel_or_says_what_is_missing() -> None:
    try:
        cuda.compiler()
    except compiler.BackendUnavailable as reason:
        assert "run-time compiler" in str(reason)  # noqa: PT017
        return
    code = cuda.compile_kernel(cuda.options(FLOAT32, "sm_90a"))
    assert code[:4] == b"\x7fELF"
    assert b"ademamix_step" in code
    with pytest.raises(compiler.BackendUnavailable, match="cannot compile"):
        cuda.compile_kernel([*cuda.options(FLOAT32, "sm_90a"), "-DMOMENT=Nothing"])


class _Device:
    """Stands for NVIDIA's driver and runs launches on the host: what is handed over is read as a device would read it."""

    def __init__(self, kind: Kind) -> None:
        self.kind, self.launches = kind, 0

    def cuCtxGetCurrent(self, context: Any) -> int:
        context._obj.value = 1
        return 0

    def cuLaunchKernel(self, function: Any, *rest: Any) -> int:
        import ctypes

        from impls.ademamix.backends import cpu, cuda_host

        grid, places = rest[0].value, rest[8]
        values = [ctypes.cast(places[i], ctypes.POINTER(ctypes.c_void_p)).contents for i in range(4)]
        aligned = ctypes.cast(places[4], ctypes.POINTER(ctypes.c_int)).contents.value
        kind = self.kind
        cuda_host._library().ademamix_launch(*values, aligned, grid, cpu.PARAMETERS[kind.dtype], cpu.STATES[kind.states], 1, 0)
        self.launches += 1
        return 0


def test_what_is_handed_to_the_driver_is_the_step(monkeypatch: pytest.MonkeyPatch) -> None:
    if not compiler.compiler():
        return
    device = _Device(FLOAT32)
    monkeypatch.setattr(cuda, "_driver", lambda: device)
    monkeypatch.setattr(cuda, "_function", lambda *a: None)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 0)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: type("Stream", (), {"cuda_stream": 0}))
    sizes = (3, 5000, 4096, 0)
    ours, theirs = ([torch.nn.Parameter(torch.linspace(-1, 1, n)) for n in sizes] for _ in range(2))
    for parameters, name in ((ours, "cuda"), (theirs, "eager")):
        optimizer = AdEMAMix(parameters, backend="eager", lr=0.01)
        for p in parameters:
            p.grad = torch.ones_like(p)
        ((_, batch),) = optimizer._batches(None, None)
        with torch.no_grad():
            backend_named(name).update(batch)
    assert device.launches in (1, 2)
    for a, b in zip(ours, theirs, strict=True):
        # Both within the bound of the same value, so within twice the bound of each other.
        start, gradient = torch.linspace(-1, 1, len(a)).double().numpy(), np.ones(len(a))
        (expected,) = bounded_trajectory(start, [gradient], [0.01], Hyperparameters(), "float32", numerical_class(""))
        far = np.abs(a.detach().double().numpy() - b.detach().double().numpy())
        assert bool((far <= 2 * expected.theta_bound).all())
        assert not len(a) or not torch.equal(a.detach(), torch.linspace(-1, 1, len(a)))
