"""gaugeblock inspect reads the machine code of other people's kernels and of ours, without a GPU."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gaugeblock.command import main
from gaugeblock.inspection import cuda_files, machine_code
from gaugeblock.inspection.architecture import ARCHITECTURES
from gaugeblock.inspection.kernel import InspectedKernel
from gaugeblock.inspection.machine_code import KernelCode, Resources
from gaugeblock.installation import CannotRun
from impls import nvidia_tools, nvrtc
from impls.compiler import BackendUnavailable

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

def fails():
    return 1 / 0

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
    code, _, printed = inspected(foreign, "foreign.py:product")
    assert code == 0
    shown, _, _ = DOCUMENT.partition("```text\nproduct on ")[2].partition("\n```")
    lines, expected = printed.splitlines(), f"product on {shown}".splitlines()
    # Compilers differ in how many instructions and registers they take; what is said of them does not.
    assert [line.split()[0] for line in lines if line[2] != " "] == [line.split()[0] for line in expected if line[2] != " "]
    assert (lines[0], lines[2]) == (expected[0], expected[2])
    assert any("1 lets 1 group of matrix products run on, 1 of them in main loops" in line for line in lines)
    code, _, printed = inspected(foreign, "foreign.py:add", "--with", "x=*fp32 y=*fp32 out=*fp32 n=i32 BLOCK=1024")
    assert code == 0
    assert re.search(r"^  waits +none$", printed, re.MULTILINE)
    assert re.search(r"^  prologue +all of it: no loop$", printed, re.MULTILINE)


def test_other_architectures_are_compiled_for_and_have_their_own_limits(foreign: Path) -> None:
    words = ("foreign.py:product", "--with", "a=*bf16 b=*bf16 c=*fp32 steps=i32 N=128", "--json")
    arches = [word for name in ARCHITECTURES for word in ("--arch", name)]
    code, kernels, said = inspected(foreign, *words, *arches)
    assert [kernel["architecture"] for kernel in kernels] == list(ARCHITECTURES), said
    fits = {kernel["architecture"]: kernel["blocks_per_multiprocessor"] for kernel in kernels}
    # 128 KiB of shared memory are more than a block may have where a multiprocessor has 100.
    assert fits == {"sm_80": 1, "sm_86": 0, "sm_89": 0, "sm_90a": 1, "sm_100": 1, "sm_120": 0}
    assert code == 1
    units = {kernel["architecture"]: {name.partition(".")[0] for name in kernel["opcodes"]} for kernel in kernels}
    assert "HMMA" in units["sm_80"] & units["sm_86"] & units["sm_89"] & units["sm_120"]
    assert "HGMMA" in units["sm_90a"]
    assert "UTCHMMA" in units["sm_100"]


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
    code, (alone,), _ = inspected(tmp_path, "kernels.cu:summed", "--arch", "sm_86", "--json")
    assert (code, alone["architecture"], alone["shared_bytes"]) == (0, "sm_86", 2048)
    code, _, said = inspected(tmp_path, "kernels.cu:sum")
    assert (code, "found no kernel sum in kernels.cu; it has: " in said) == (2, True)
    (tmp_path / "wrong.cu").write_text("__global__ void f() { oh no; }")
    code, _, said = inspected(tmp_path, "wrong.cu")
    assert code == 2
    assert "wrong.cu does not compile" in said


def test_without_nvcc_nvrtc_compiles(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find = nvidia_tools.find_tool
    monkeypatch.setattr(cuda_files, "find_tool", lambda name: None if name == "nvcc" else find(name))
    (tmp_path / "kernels.cu").write_text(CUDA)
    (tmp_path / "wrong.cu").write_text("__global__ void f() { oh no; }")
    try:
        nvrtc.library()
    except BackendUnavailable:
        print("not run: there is no NVRTC here")
    else:
        (kernel,) = cuda_files.inspected(f"{tmp_path}/kernels.cu:summed")
        assert (kernel.shared, kernel.waits) == (2048, {"BAR.SYNC": 1})
        with pytest.raises(CannotRun, match=r"wrong.cu does not compile for sm_90a, without nvcc: .*error: identifier \"oh\""):
            cuda_files.inspected(f"{tmp_path}/wrong.cu")

    def none() -> None:
        raise BackendUnavailable("none")

    monkeypatch.setattr(nvrtc, "library", none)
    with pytest.raises(CannotRun, match="was not compiled: found neither nvcc nor NVRTC; get one with: pip install nvidia-"):
        cuda_files.inspected(f"{tmp_path}/kernels.cu")


LISTING = """
        /*0000*/                   LDGDEPBAR ;
        /*0010*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], RZ, gsb0 ;
        /*0020*/                   WARPGROUP.DEPBAR.LE gsb0, 0x1 ;
        /*0030*/                   DEPBAR.LE SB0, 0x2 ;
        /*0040*/                   DEPBAR.LE SB1, 0x36 ;
        /*0050*/               @P1 BRA 0x10 ;
        /*0060*/                   WARPGROUP.DEPBAR.LE gsb0, 0x0 ;
        /*0070*/                   EXIT ;
        /*0080*/                   BRA 0x80 ;
"""


def test_what_waits_permit_and_the_prologue_are_read() -> None:
    code = KernelCode("k", Resources(64, 0, 0), tuple(machine_code.parse(LISTING)))
    kernel = InspectedKernel("k", "", code, 128, 0)
    assert kernel.permissions == [("copies", 2, 1, 0), ("matrix products", 0, 0, 1), ("matrix products", 1, 1, 0)]
    assert kernel.prologue == 16
    without = InspectedKernel("k", "", KernelCode("k", Resources(64, 0, 0), code.instructions[1:]), 128, 0)
    assert [each.waits_for for each in without.permissions] == ["matrix products"] * 2
    assert (without.prologue, without.waits_in_loops) == (0, 3)


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
    (foreign / "empty.py").write_text("")
    for arguments, words in (
        (("foreign.py:add",), "nothing for x, y, out, n, BLOCK; expected --with 'x=TYPE y=TYPE out=TYPE n=TYPE BLOCK=VALUE'"),
        (("foreign.py:add", "--with", "x=*fp32 y=*fp32 out=*fp32 n=i32 BLOCK=100"), "add does not compile"),
        (
            ("foreign.py",),
            "foreign.py has 3 Triton kernels: add, tuned, product; expected the name of one, as in foreign.py:add",
        ),
        (("empty.py",), "empty.py has no Triton kernel; expected the name of one"),
        (("foreign.py:fails",), "foreign.py:fails was called, and raised ZeroDivisionError: division by zero"),
        (("missing.cu",), "found no file missing.cu (looked from "),
        (("foreign.py:add", "--arch", "sm_70"), "found --arch sm_70, expected one of sm_80 (A100), sm_86 "),
        (("foreign.py:add", "--threads", "2000"), "found --threads 2000, expected 1 to 1024"),
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
