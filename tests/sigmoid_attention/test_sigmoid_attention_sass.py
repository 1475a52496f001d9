"""The kernels' machine code for sm_90a uses the matrix units and spills nothing; the reader of it reads right."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from conformance.comparison import compare
from conformance.sigmoid_attention import sass
from conformance.sigmoid_attention.sass import Configuration, Machine, Reading, configurations, faults, innermost, parse
from impls.sigmoid_attention import triton_kernels
from reference.rounding import FLOAT32

triton = triton_kernels.triton
tl = triton_kernels.tl

ROOT = Path(__file__).resolve().parents[2]

LISTING = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;                    /* 0x00000a00ff017b82 */
        /*0010*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], RZ ;   /* 0x00 */
        /*0020*/                   FFMA R4, R4, R5, R6 ;                     /* 0x00 */
        /*0030*/                   MUFU.EX2 R4, R4 ;                         /* 0x00 */
        /*0040*/              @!P0 MUFU.RCP R4, R4 ;                         /* 0x00 */
        /*0050*/               @P1 BRA 0x20 ;                                /* 0x00 */
        /*0060*/               @P2 BRA 0x10 ;                                /* 0x00 */
        /*0070*/                   BRA 0x90 ;                                /* 0x00 */
        /*0080*/                   EXIT ;                                    /* 0x00 */
"""


def reading(**change: object) -> Reading:
    instructions = list(parse(LISTING))
    loop = {"FFMA": 1, "MUFU.EX2": 1, "MUFU.RCP": 1, "BRA": 1}
    whole = {opcode: 1 for _, opcode, _ in instructions}
    made = Reading(Configuration("forward_kernel", "bfloat16", 64, False), 128, 0, 1000, 128, loop, whole, 1.0, 2)
    return replace(made, **change)  # type: ignore[arg-type]


def test_the_innermost_loop_that_computes_scores_is_found() -> None:
    instructions = list(parse(LISTING))
    assert [opcode for _, opcode, _ in instructions][:3] == ["LDC", "HGMMA.64x64x16.F32.BF16", "FFMA"]
    assert [opcode for _, opcode, _ in innermost(instructions)] == ["FFMA", "MUFU.EX2", "MUFU.RCP", "BRA"]
    straight = [i for i in instructions if not i[1].startswith("BRA")]
    assert innermost(straight) == straight


def test_the_model_adds_up_what_a_score_costs() -> None:
    found, machine = reading(), Machine(sms=1, gigahertz=1.0, tensor_flops=4096, special=16, lanes=128)
    assert found.per_score("MUFU") == 2
    assert found.clocks(machine) == {"tensor": 256 / 4096, "special": 2 / 16, "issue": 4 / 128}
    # 256 operations in 1/8 clock where all overlaps, and in 1/8 + 1/16 where nothing does.
    assert found.ceiling(machine, overlapped=True) == 256 * 8 / 1000
    assert found.ceiling(machine, overlapped=False) == 256 / (1 / 8 + 1 / 16) / 1000


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"spilled": 8}, "8 bytes spilled"),
        ({"shared": 228 * 1024}, "shared memory"),
        ({"whole": {"FFMA": 1}}, "matrix units stand idle"),
    ],
)
def test_what_must_not_be_is_named(change: dict[str, object], fault: str) -> None:
    assert faults(reading()) == []
    assert any(fault in found for found in faults(reading(**change)))


def test_every_kernel_dtype_and_switch_is_among_the_few() -> None:
    few, every = list(configurations(quick=True)), list(configurations())
    assert set(few) <= set(every)
    assert len(set(every)) == len(every)
    for field in ("kernel", "dtype", "options"):
        assert {getattr(c, field) for c in few} == {getattr(c, field) for c in every}


def test_kernels_compile_for_hopper_without_a_fault() -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "conformance.sigmoid_attention.sass", "--quick"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
    rows = [line.split(" | ") for line in done.stdout.splitlines() if "_kernel |" in line]
    assert len(rows) == len(list(configurations(quick=True))), done.stderr[-2000:]
    where = {name: i for i, name in enumerate(sass.COLUMNS)}
    for cells in rows:
        assert (int(cells[where["HGMMA"]]) > 0) == (cells[where["dtype"]] != "float32")
        # An exponential and a reciprocal for each score; at head dim 64 on Hopper the exponential alone.
        hopper = "hopper" in cells[where["kernel"]]
        assert float(cells[where["special/score"]]) == (1 if hopper else 2)
        assert (int(cells[where["bulk copies"]]) > 0) == hopper
    assert done.returncode == 0, done.stdout


@triton.jit
def probe(Z, P, SIZE: tl.constexpr):
    where = tl.arange(0, SIZE)
    tl.store(P + where, triton_kernels._logistic_newton(tl.load(Z + where)))


def test_the_newton_reciprocal_is_as_exact_as_the_bounds_allow() -> None:
    z = torch.cat([torch.linspace(-150, 126, 4090), torch.tensor([0.0, 126.0, 127.0, 200.0, torch.inf, torch.nan])])
    got = torch.empty_like(z)
    probe[(1,)](z, got, 4096)
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp2(z.double().numpy()))
    # What the law's bounds allow an activation: 8 roundings of itself, and a result at the end of the normal range.
    bound = 8 * FLOAT32.unit_roundoff * expected + FLOAT32.smallest_normal
    assert compare("weight", got.double().numpy(), expected, np.where(np.isnan(expected), 0, bound)).passed
