"""CUDA kernels that a user's Python compiles through torch, executed without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from conformance.engine.check import last_line
from conformance.ptx import torch_launches
from conformance.ptx.faults import KernelFault
from conformance.ptx.torch_launches import ExecutedKernel, compile_kernel
from impls import nvrtc
from impls.compiler import BackendUnavailable
from impls.implementation import NotRun

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "first-kernel"

SCALE = """
template <typename T> __global__ void scale(T* x, int n, double factor) {
    int i = blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) x[i] = (T)(x[i] * factor);
}
"""
TOTAL = """
#include <cuda_fp16.h>
extern "C" __global__ void total(const __half* x, float* sum, int n) {
    extern __shared__ float held[];
    held[threadIdx.x] = threadIdx.x < n ? __half2float(x[threadIdx.x]) : 0.0f;
    __syncthreads();
    if (threadIdx.x == 0) for (int i = 0; i < n; ++i) sum[0] += held[i];
}
"""


def made(source: str, name: str) -> ExecutedKernel | None:
    """The kernel; None, and a word of why, where no compiler is here."""
    try:
        return compile_kernel(source, name)
    except NotRun as error:
        print(f"not run: {error}")
        return None


@pytest.mark.parametrize("threads", [32, 100, 7])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_template_steps_every_element_once_in_blocks_of_any_size(threads: int, dtype: torch.dtype) -> None:
    kernel = made(SCALE, "scale<float>" if dtype == torch.float32 else "scale<double>")
    if kernel is not None:
        x = torch.arange(1, 251, dtype=dtype)
        kernel(grid=(-(-250 // threads), 1, 1), block=(threads, 1, 1), args=[x, 250, 3.0])
        assert torch.equal(x, 3 * torch.arange(1, 251, dtype=dtype))


def test_headers_and_shared_memory_of_the_launch_are_there() -> None:
    kernel = made(TOTAL, "total")
    if kernel is not None:
        x, total = torch.arange(50, dtype=torch.float16), torch.zeros(1)
        kernel(block=(50, 1, 1), args=[x, total, 50], shared_mem=200)
        assert total.item() == sum(range(50))


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda kernel, x: kernel(args=[x, 1, 2]), KernelFault, "a Python int as an int, 4 bytes, and .* takes 8"),
        (lambda kernel, x: kernel(args=[x, 1.0, 2.0]), KernelFault, "a Python float as a double, 8 bytes, and .* takes 4"),
        (lambda kernel, x: kernel(args=[x, 1, "2"]), TypeError, "an argument of str, expected a tensor, an int or a float"),
        (lambda kernel, x: kernel(args=[x, 1]), ValueError, "found 2 arguments, and .* has 3 parameters"),
        (lambda kernel, x: kernel(args=[x, 1, 2.0], block=(1025, 1, 1)), ValueError, "at most 1024 threads"),
        (lambda kernel, x: kernel(args=[x, 1, 2.0], grid=(1, 65536, 1)), ValueError, "at most 65535 blocks"),
        (lambda kernel, x: kernel(args=[x, 1, 2.0], grid=(0, 1, 1)), ValueError, "expected from 1 on"),
        (lambda kernel, x: kernel(args=[x, 1, 2.0], shared_mem=50000), RuntimeError, "call set_shared_memory_config first"),
        (lambda kernel, x: kernel(args=[x, 9, 2.0], block=(9, 1, 1)), KernelFault, r"line 4 of kernel.cu.* lane 4: 4 bytes"),
    ],
)  # fmt: skip
def test_a_wrong_launch_is_said(call: Callable[..., None], error: type[Exception], message: str) -> None:
    kernel = made(SCALE, "scale<float>")
    if kernel is not None:
        x = torch.zeros(4)
        with pytest.raises(error, match=message):
            call(kernel, x)


def test_shared_memory_that_was_configured_is_given() -> None:
    kernel = made(SCALE, "scale<float>")
    if kernel is not None:
        kernel.set_shared_memory_config(60000)
        kernel(args=[torch.zeros(4), 1, 2.0], shared_mem=60000)


@pytest.mark.parametrize(
    ("source", "name", "message"),
    [
        (SCALE.replace("factor)", "faktor)", 1), "scale<float>", "Kernel compilation failed: .*factor"),
        (TOTAL, "sum", "Kernel compilation failed: .*sum"),
    ],
)
def test_a_wrong_source_is_an_error_of_the_plug(source: str, name: str, message: str) -> None:
    if made(SCALE, "scale<float>") is not None:
        with pytest.raises(RuntimeError, match=message):
            compile_kernel(source, name)


def test_without_a_compiler_nothing_is_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise BackendUnavailable("none")

    monkeypatch.setattr(nvrtc, "library", none)
    monkeypatch.setattr(torch_launches.compiling, "find_tool", lambda name: None)
    with pytest.raises(NotRun, match="needs nvcc or NVIDIA's run-time compiler"):
        compile_kernel(SCALE, "scale<float>")


def test_a_fault_is_told_by_its_place_in_the_kernel() -> None:
    assert last_line(KernelFault("attend, line 7: out of bounds")) == "the kernel: attend, line 7: out of bounds"


def test_a_race_in_a_cuda_kernel_is_found_by_the_command(tmp_path: Path) -> None:
    if made(SCALE, "scale<float>") is None:
        return
    records = tmp_path / "records.jsonl"
    plugs = [f"kernel_cuda.py:{name}" for name in ("attention", "attention_without_barrier")]
    command = [sys.executable, "-m", "gaugeblock", "check", *plugs, "--device=ptx", "--quick", f"--records={records}"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([*command, "--", "-k", "SIG-02"], cwd=EXAMPLE, env=environment, capture_output=True, text=True)
    assert done.returncode == 1, done.stdout + done.stderr
    rows = [json.loads(line) for line in records.read_text().splitlines() if '"record":"verdict"' in line]
    found = {(each["implementation"].split(".")[-1], each["verdict"]): each["message"] for each in rows}
    found = {key: message for key, message in found.items() if key[1] != "unsupported"}
    assert set(found) == {("attention", "pass"), ("attention_without_barrier", "error")}, done.stdout
    told = found["attention_without_barrier", "error"]
    assert told.startswith("the kernel: attend, line 15 of kernel.cu"), told
    assert told.endswith("was stored by warp 0 with no barrier between: a race"), told
