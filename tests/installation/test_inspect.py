"""gaugeblock inspect reads the machine code of other people's kernels and of ours, without a GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gaugeblock.command import main
from gaugeblock.inspection import machine_code
from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.inspection.machine_code import KernelCode, Resources
from gaugeblock.installation import CannotRun

ROOT = Path(__file__).resolve().parents[2]
DOCUMENT = (ROOT / "docs" / "command.md").read_text(encoding="utf-8")

FOREIGN = """
import torch
import triton
import triton.language as tl

@triton.jit
def add(x, y, out, n, BLOCK: tl.constexpr):
    at = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    inside = at < n
    tl.store(out + at, tl.load(x + at, inside) + tl.load(y + at, inside), inside)

tuned = triton.autotune([triton.Config({"BLOCK": b}, num_warps=w) for b, w in ((256, 2), (1024, 8))], key=["n"])(add)

@triton.jit
def product(a, b, c, steps, N: tl.constexpr):
    at = tl.arange(0, N)[:, None] * N + tl.arange(0, N)[None, :]
    total = tl.zeros((N, N), tl.float32)
    for k in range(steps):
        total += tl.dot(tl.load(a + k * N * N + at), tl.load(b + k * N * N + at))
    tl.store(c + at, total)

GAUGEBLOCK_INSPECT = {"product": "a=*bf16 b=*bf16 c=*fp32 steps=i32 N=64"}

def example():
    import torch
    x = torch.ones(4096)
    add[(4,)](x, x, torch.empty_like(x), x.numel(), BLOCK=1024)
    tuned[lambda meta: (4096 // meta["BLOCK"],)](x.bfloat16(), x, x, 1)
"""
CUDA = """
template <int N> __global__ void summed(const float *x, float *y) {
    __shared__ float s[N];
    s[threadIdx.x] = x[threadIdx.x];
    __syncthreads();
    float total = 0;
    for (int i = 0; i < N; ++i) total += s[i];
    y[threadIdx.x] = total;
}
template __global__ void summed<512>(const float *, float *);
extern "C" __global__ void __launch_bounds__(1024) crowded(float *x) {
    float held[200];
    for (int i = 0; i < 200; ++i) held[i] = x[i * 1024 + threadIdx.x];
    __syncthreads();
    for (int i = 0; i < 200; ++i) x[i * 1024 + threadIdx.x] = held[i] * held[199 - i];
}
"""


def inspected(folder: Path, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
    """In a process of its own: here Triton may interpret its kernels."""
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{folder}"}
    words = [sys.executable, "-m", "gaugeblock", "inspect", *arguments]
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return (
        done.returncode,
        [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "{"],
        done.stdout + done.stderr,
    )


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    (tmp_path / "foreign.py").write_text(FOREIGN)
    return tmp_path


def test_a_kernel_that_is_described_and_the_document_shows_it(foreign: Path) -> None:
    words = "x=*fp32 y=*fp32 out=*fp32 n=i32 BLOCK=1024"
    code, _, printed = inspected(foreign, "foreign.py:add", "--with", words)
    assert code == 0
    shown, _, _ = DOCUMENT.partition("```text\nadd (")[2].partition("\n```")
    lines, expected = printed.splitlines(), f"add ({shown}".splitlines()
    assert [line.split()[0] for line in lines] == [line.split()[0] for line in expected]
    assert (lines[0], lines[2], lines[5]) == (expected[0], expected[2], expected[5])


def test_launches_are_taken_down_each_configuration_of_a_tuner_too(foreign: Path) -> None:
    code, kernels, _ = inspected(foreign, "foreign:example", "foreign.py:product", "--json")
    assert code == 0
    assert [k["variant"] for k in kernels] == [
        "x *fp32, y *fp32, out *fp32, BLOCK 1024",
        "x *bf16, y *fp32, out *fp32, n 1, BLOCK 256, num_warps 2, num_ctas 1, num_stages 3",
        "x *bf16, y *fp32, out *fp32, n 1, BLOCK 1024, num_warps 8, num_ctas 1, num_stages 3",
        "a *bf16, b *bf16, c *fp32, N 64",
    ]
    assert [k["threads"] for k in kernels] == [128, 64, 256, 128]
    product = kernels[-1]
    assert product["shared_bytes"] > 0
    assert product["waits_in_loops"] > 0
    assert any(opcode.startswith("HGMMA") for opcode in product["opcodes"])
    assert all(k["spilled_bytes"] == 0 and 0 < k["registers"] < 256 for k in kernels)


def test_our_own_kernel_is_read_by_the_same_command(tmp_path: Path) -> None:
    words = (
        "addresses=*i64 scalars=*fp32 keys=*i32 chunks=*i32 PARAMETER='float32' STATE='float32' HAS_FAST=True "
        "STOCHASTIC=False CAPTURABLE=False ALIGNED=True CHUNK=1024 num_warps=4"
    )
    code, (kernel,), _ = inspected(tmp_path, "impls.ademamix.backends.triton_kernel:step_kernel", "--with", words, "--json")
    assert code == 0
    assert kernel["registers"] <= 128
    assert sum(number for opcode, number in kernel["opcodes"].items() if ".128" in opcode) >= 4


def test_a_file_of_cuda_and_one_kernel_that_spills(tmp_path: Path) -> None:
    (tmp_path / "kernels.cu").write_text(CUDA)
    try:
        machine_code.tool("nvcc")
    except CannotRun:
        print("not run: there is no nvcc here")
        return
    code, kernels, _ = inspected(tmp_path, "kernels.cu", "--threads", "512", "--json")
    assert code == 1
    found = {kernel["kernel"].partition("<")[0].removeprefix("void "): kernel for kernel in kernels}
    summed = next(kernel for name, kernel in found.items() if "summed" in name)
    assert (summed["shared_bytes"], summed["waits"]["BAR.SYNC"], summed["spilled_bytes"]) == (2048, 1, 0)
    assert found["crowded"]["spill_instructions"] > 0
    assert found["crowded"]["registers"] <= 64
    (tmp_path / "wrong.cu").write_text("__global__ void f() { oh no; }")
    code, _, said = inspected(tmp_path, "wrong.cu")
    assert code == 2
    assert "wrong.cu does not compile" in said


@pytest.mark.parametrize(("registers", "threads", "shared", "expected"), [
    (16, 128, 0, (16, "warps")),
    (32, 32, 0, (32, "blocks")),
    (33, 64, 0, (24, "registers")),
    (255, 128, 0, (2, "registers")),
    (128, 256, 0, (2, "registers")),
    (168, 384, 0, (1, "registers")),
    (64, 128, 100 * 1024, (2, "shared memory")),
    (64, 128, 227 * 1024, (1, "shared memory")),
    (64, 128, 227 * 1024 + 1, (0, "shared memory")),
])  # fmt: skip
def test_occupancy_is_nvidias(registers: int, threads: int, shared: int, expected: tuple[int, str]) -> None:
    """As the occupancy calculator of NVIDIA gives it for compute capability 9.0."""
    kernel = InspectedKernel("k", "", KernelCode("k", Resources(registers, 0, 0), ()), threads, shared)
    assert kernel.occupancy == expected
    assert kernel.is_sound == (expected[0] > 0)


def test_what_is_missing_or_misspelt_is_one_line(
    foreign: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for arguments, words in (
        (("foreign.py:add",), "nothing for x, y, out, n, BLOCK; expected --with 'x=TYPE y=TYPE out=TYPE n=TYPE BLOCK=VALUE'"),
        (("foreign.py:add", "--with", "x=*fp32 y=*fp32 out=*fp32 n=i32 BLOCK=100"), "add does not compile"),
        (("foreign.py:GAUGEBLOCK_INSPECT",), "a dict, expected a Triton kernel, or a function without arguments"),
    ):
        code, _, said = inspected(foreign, *arguments)
        assert code == 2
        assert words in said
        assert len(said.strip().splitlines()) == 1
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["inspect", "foreign.py:add"]) == 2
    assert "Triton is not installed here; get it with" in capsys.readouterr().err
    monkeypatch.setattr("shutil.which", lambda name, path=None: None)
    with pytest.raises(CannotRun, match="found no cuobjdump, expected it beside Triton or in a CUDA toolkit"):
        machine_code.tool("cuobjdump")
