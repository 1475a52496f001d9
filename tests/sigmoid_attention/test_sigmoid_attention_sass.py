"""The kernels' machine code for sm_90a uses the matrix units and spills nothing; the reader of it reads right."""

from __future__ import annotations

import datetime
import itertools
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from conformance.engine.comparison import compare
from gaugeblock.inspection.machine_code import KernelCode, Resources, parse
from impls.sigmoid_attention import triton_hopper, triton_kernels
from reference.rounding import FLOAT32
from tools import attention_sass, machine_code
from tools.attention_candidates import KERNELS, candidates
from tools.attention_sass import Configuration, configurations, faults, few, in_turn
from tools.machine_code import KernelCounts, Machine, innermost

triton = triton_kernels.triton
tl = triton_kernels.tl

ROOT = Path(__file__).resolve().parents[2]

LISTING = """
        /*0000*/                   LDC R1, c[0x0][0x28] ;                    /* 0x00000a00ff017b82 */
        /*0010*/                   HGMMA.64x64x16.F32.BF16 R24, gdesc[UR4], RZ ;   /* 0x00 */
        /*0020*/                   SYNCS.PHASECHK.TRYWAIT P0, [UR6] ;        /* 0x00 */
        /*0030*/              @!P0 BRA 0xa0 ;                                /* 0x00 */
        /*0040*/                   FFMA R4, R4, R5, R6 ;                     /* 0x00 */
        /*0050*/                   MUFU.EX2 R4, R4 ;                         /* 0x00 */
        /*0060*/              @!P0 MUFU.RCP R4, R4 ;                         /* 0x00 */
        /*0070*/               @P1 BRA 0x20 ;                                /* 0x00 */
        /*0080*/                   BRA.U UP2, 0x10 ;                         /* 0x00 */
        /*0090*/                   EXIT ;                                    /* 0x00 */
        /*00a0*/                   SYNCS.PHASECHK.TRYWAIT P0, [UR6] ;        /* 0x00 */
        /*00b0*/              @!P0 BRA 0xa0 ;                                /* 0x00 */
        /*00c0*/                   BRA 0x40 ;                                /* 0x00 */
"""


def reading(**change: object) -> KernelCounts:
    loop = {"FFMA": 1, "MUFU.EX2": 1, "MUFU.RCP": 1, "BRA": 1}
    whole = {i.opcode: 1 for i in parse(LISTING)}
    made = KernelCounts(64, 2, 128, 0, 1000, loop, whole, 1.0, False)
    return replace(made, **change)  # type: ignore[arg-type]


def test_the_innermost_loop_that_computes_scores_is_found() -> None:
    instructions = list(parse(LISTING))
    assert [i.opcode for i in instructions][:3] == ["LDC", "HGMMA.64x64x16.F32.BF16", "SYNCS.PHASECHK.TRYWAIT"]
    assert [i.guarded for i in instructions][6:9] == [True, True, False]
    # With the out-of-line part of its wait, though that ends in a jump back into the loop's middle.
    kinds = [i.kind for i in innermost(instructions)]
    assert kinds == ["SYNCS", "BRA", "FFMA", "MUFU", "MUFU", "BRA", "SYNCS", "BRA", "BRA"]
    straight = [i for i in instructions if i.kind != "BRA"]
    assert innermost(straight) == straight


def test_a_loop_that_divides_is_not_taken_for_one_that_computes_scores() -> None:
    instructions = list(parse(LISTING.replace("MUFU.EX2", "MUFU.RCP")))
    assert innermost(instructions) == instructions


def test_the_model_adds_up_what_a_score_costs() -> None:
    machine = Machine(sms=1, gigahertz=1.0, tensor_flops=4096, special=16, multiply_add=128, logic=64, lanes=128)
    found = reading(loop={"FFMA": 1, "FADD": 1, "MUFU.EX2": 1, "MUFU.RCP": 1, "F2FP.BF16": 1, "BRA": 1})
    assert found.per_score(("MUFU",)) == 2
    expected = {"tensor": 256 / 4096, "special": 2 / 16, "multiply-add": 2 / 128, "logic": 1 / 64, "issue": 6 / 128}
    assert found.clocks(machine) == expected
    # The products of a score take 1/16 clock, of the 1/8 where all overlaps, and of 1/8 + 1/16 where nothing does.
    assert found.ceiling(machine, overlapped=True) == (1 / 16) / (1 / 8)
    assert found.ceiling(machine, overlapped=False) == (1 / 16) / (1 / 8 + 1 / 16)
    assert machine.peak == 4.096


@pytest.mark.parametrize(
    ("waits", "barriers", "groups", "blocks", "time"),
    [
        ({}, 1, 2, 1, 1 / 8),  # no wait at all
        ({0: 1, 1: 1}, 1, 2, 1, 1 / 8),  # one wait lets products run on
        ({0: 2}, 1, 2, 1, 3 / 16),  # products and the rest in turn, and both groups in the same turn
        ({0: 2}, 0, 2, 1, 1 / 8),  # the other group may fill the gap
        ({0: 2}, 1, 2, 2, 1 / 8),  # and so may another block
    ],
)
def test_a_ceiling_is_what_the_waits_permit(
    waits: dict[int, int], barriers: int, groups: int, blocks: int, time: float
) -> None:
    machine = Machine(special=16)
    found = reading(loop={"MUFU.EX2": 1, "MUFU.RCP": 1}, waits=waits, barriers=barriers, groups=groups, blocks=blocks)
    assert found.time(machine, overlapped=True) == time
    assert found.time(machine, overlapped=False) == 3 / 16


def test_a_barrier_of_one_group_of_warps_holds_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    def counts(barrier: str) -> KernelCounts:
        listing = LISTING.replace("LDC R1, c[0x0][0x28]", "LDGDEPBAR").replace("SYNCS.PHASECHK.TRYWAIT P0, [UR6]", barrier, 1)
        code = KernelCode("k", Resources(168, 0, 0), tuple(parse(listing)))
        monkeypatch.setattr(machine_code, "read", lambda cubin: [code])
        return machine_code.read_cubin(b"", dim=64, products=2, tile=128 * 128, warps=8, threads=384, shared=100)

    assert counts("BAR.SYNC.DEFER_BLOCKING 0x2, 0x80").independent == 2
    assert counts("BAR.SYNC.DEFER_BLOCKING 0x2, 0x100").independent == 1
    assert counts("BAR.SYNC.DEFER_BLOCKING 0x0").independent == 1
    found = counts("WARPGROUP.DEPBAR.LE gsb0, 0x1")
    assert (found.waits, found.overlaps, found.groups, found.blocks, found.prologue) == ({1: 1}, True, 2, 1, 32)
    assert found.scores == 128 * 128 / 256
    assert not counts("WARPGROUP.DEPBAR.LE gsb0, 0x0").overlaps


PLAIN = Configuration("forward", "bfloat16", 64)
COPIED = Configuration("hopper-forward", "bfloat16", 64)


@pytest.mark.parametrize(
    ("configuration", "change", "fault"),
    [
        (PLAIN, {"spilled": 8}, "8 bytes spilled"),
        (PLAIN, {"whole": {"HGMMA": 1, "STL.64": 3}}, "3 bytes spilled"),
        (PLAIN, {"shared": 228 * 1024}, "shared memory"),
        (PLAIN, {"whole": {"FFMA": 1}}, "matrix units stand idle"),
        (PLAIN, {"scores": 0.5}, "more than once"),
        (COPIED, {}, "nothing is copied in bulk"),
        (COPIED, {"whole": {"HGMMA": 1, "UTMALDG.2D": 1}}, "gave up specialising"),
    ],
)
def test_what_must_not_be_is_named(configuration: Configuration, change: dict[str, object], fault: str) -> None:
    assert faults(PLAIN, reading()) == []
    assert any(fault in found for found in faults(configuration, reading(**change)))
    fine = reading(specialised=True, whole={"HGMMA": 1, "UTMALDG.2D": 1})
    assert faults(COPIED, fine) == []


def test_every_kernel_dtype_and_switch_is_among_the_few() -> None:
    used = [c for c in configurations() if not c.change]
    assert set(few()) <= set(used)
    wide = {"keys", "values"}  # at head dim 256 alone
    assert {c.kernel for c in few()} == set(KERNELS) - wide == {c.kernel for c in used} - wide
    for field in ("dtype", "options"):
        assert {getattr(c, field) for c in few()} == {getattr(c, field) for c in used}


@pytest.fixture(name="compiling")
def _compiling(monkeypatch: pytest.MonkeyPatch) -> None:
    """Launch options as they are on a device."""
    for module in (triton_hopper, triton_kernels):
        monkeypatch.setattr(module, "interpreted", lambda: False)


@pytest.mark.usefixtures("compiling")
def test_the_turns_come_to_everything() -> None:
    every = list(configurations())
    assert len(set(every)) == len(every)
    shares = [in_turn(every, turn, 7) for turn in range(7)]
    assert sorted(c.name for share in shares for c in share) == sorted(c.name for c in every)
    assert in_turn(every, 9, 7) == in_turn(every, 2, 7)
    for kernel in KERNELS:
        tried = [c for c in every if c.kernel == kernel and c.change]
        assert len(tried) >= 2
        assert all(attention_sass.launch_options(c) != attention_sass.launch_options(replace(c, change=())) for c in tried)


@pytest.mark.usefixtures("compiling")
@pytest.mark.parametrize("kernel", ["forward", "query", "key"])
def test_every_way_of_masking_is_among_those_compiled(kernel: str) -> None:
    used = [c for c in configurations() if c.kernel == f"hopper-{kernel}" and not c.change]
    read = {tuple(attention_sass.launch_options(c).items()) for c in used}
    lengths = (1, 64, 100, 128, 192, 320, 1000, 1024)
    for dim, nq, nk, causal, grouped in itertools.product((64, 128), lengths, lengths, *[(False, True)] * 2):
        options = triton_hopper.launch_options(dim, nq, nk, kernel=kernel, causal=causal, grouped=grouped)
        assert tuple(options.items()) in read


FAULTLESS = ": no fault"
PUBLISHED = ROOT / "reports" / "published" / "sass"


def _is_another_compiler() -> bool:
    published = json.loads((PUBLISHED / "readings.json").read_text(encoding="utf-8"))["compiler"]
    return bool(published != f"Triton {triton.__version__}")


@pytest.fixture(name="compiled", scope="module")
def _compiled(pytestconfig: pytest.Config) -> list[dict[str, str]]:
    """The command's table: a few configurations; a thorough run adds a share of all, another one each day."""
    shares = [["--quick"]]
    if pytestconfig.getoption("--thorough", default=False):
        shares.append(["--share", f"{datetime.datetime.now(datetime.UTC).date().toordinal() % 12}/12"])
    rows = []
    for share in shares:
        command = [sys.executable, "-m", "tools.attention_sass", *share]
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=ROOT)
        found = [line for line in done.stderr.splitlines() if not line.endswith(FAULTLESS) and re.search(r", D\d+, ", line)]
        if _is_another_compiler() and "--share" in share:
            # Another version than the published one allocates registers otherwise, and may be a few short.
            found = [line for line in found if not re.search(r": \d+ bytes spilled$", line)]
        else:
            assert done.returncode == 0, done.stderr[-3000:]
        assert not found
        header, _, *lines = ([cell.strip() for cell in line.strip("|").split("|")] for line in done.stdout.splitlines())
        rows += [dict(zip(header, cells, strict=True)) for cells in lines]
    return rows


def test_kernels_compile_for_hopper_without_a_fault(compiled: list[dict[str, str]]) -> None:
    assert len(compiled) >= len(few())
    for cells in compiled:
        hopper = cells["kernel"].startswith("hopper")
        assert (int(cells["HGMMA"]) > 0) == (cells["dtype"] != "float32")
        assert (int(cells["UTMALDG"]) > 0) == hopper
        assert cells["spilled"] == "0" or _is_another_compiler()
    first = {cells["kernel"]: cells for cells in reversed(compiled[: len(few())])}
    # An exponential for each score, and a hardware reciprocal for every fourth or second.
    assert float(first["hopper-forward"]["MUFU/score"]) == 1.25
    assert float(first["hopper-query"]["MUFU/score"]) == 1.5
    assert float(first["hopper-forward"]["instr./score"]) < 11
    assert first["hopper-query"]["warps"] == "4 specialised"


@pytest.mark.usefixtures("compiling")
def test_the_published_table_is_of_the_kernels_that_are_there() -> None:
    found = json.loads((PUBLISHED / "readings.json").read_text(encoding="utf-8"))
    again = "python -m tools.attention_sass -o reports/published/sass writes it anew"
    assert found["kernels"] == attention_sass.digest(), again
    described = [(item["launch"], item["change"], item["faults"]) for item in found["configurations"]]
    assert described == [(attention_sass.launch_options(c), dict(c.change), []) for c in configurations()], again
    page = (PUBLISHED / "README.md").read_text(encoding="utf-8")
    assert "compiled for sm_90a, not run" in page
    assert f"{len(described)} configurations" in page


def test_the_page_says_what_the_record_says() -> None:
    machine = Machine()
    results: list[attention_sass.AttentionResult] = [
        (PLAIN, reading(), []),
        (replace(PLAIN, change=(("num_stages", 2),)), reading(spilled=8), ["8 bytes spilled"]),
        (replace(PLAIN, dim=128), None, ["does not compile: RuntimeError: no"]),
    ]
    page = attention_sass.page(results, machine, "Triton 0.0")
    assert "- forward, bfloat16, D64, full, no options, num_stages 2: 8 bytes spilled" in page
    assert "| FlashAttention-3 | softmax, N 1k/2k/4k/8k, B 4, H 48 | 128 | 541/618/628/639 | 313/435/520/561 |" in page
    assert "does not compile: RuntimeError: no" in page
    assert re.search(r"\| triton +\| forward +\| 64 +\| 33%-50% +\| 316-474 +\|", page)
    found = json.loads(json.dumps(attention_sass.record(results, machine, "Triton 0.0")))
    assert [item["faults"] for item in found["configurations"]] == [
        [],
        ["8 bytes spilled"],
        ["does not compile: RuntimeError: no"],
    ]
    assert found["configurations"][0]["reading"]["clocks"]["special"] == 2 / 16


def test_what_is_tried_is_not_in_use() -> None:
    for kernel in KERNELS:
        for dim in (64, 128, 256):
            for causal in (False, True):
                tried = [tuple(sorted(change.items())) for change in candidates(kernel, dim, causal)]
                assert len(set(tried)) == len(tried)


# The activation.


@triton.jit
def probe(Z, P, SIZE: tl.constexpr, RECIPROCALS: tl.constexpr):
    where = tl.arange(0, SIZE)
    tl.store(P + where, triton_kernels._logistic(tl.load(Z + where), RECIPROCALS))


def scores() -> torch.Tensor:
    return torch.cat([torch.linspace(-150, 126, 4090), torch.tensor([0.0, 126.0, 127.0, 200.0, torch.inf, torch.nan])])


def is_exact_enough(z: torch.Tensor, got: Any) -> bool:
    with np.errstate(over="ignore"):
        expected = 1 / (1 + np.exp2(z.double().numpy()))
    # What the reference's bounds allow an activation: 8 roundings of itself, and a result at the end of the normal range.
    bound = 8 * FLOAT32.unit_roundoff * expected + FLOAT32.smallest_normal
    return compare("weight", np.asarray(got, np.float64), expected, np.where(np.isnan(expected), 0, bound)).passed


@pytest.mark.parametrize("reciprocals", [0, 1, 2, 4])
def test_the_activation_is_as_exact_as_the_bounds_allow(reciprocals: int) -> None:
    z = scores()
    got = torch.empty_like(z)
    probe[(1,)](z, got, 4096, reciprocals)
    assert is_exact_enough(z, got)


def run_ptx(assembly: str, inputs: list[np.ndarray]) -> list[np.ndarray]:  # noqa: C901  (one branch for each instruction)
    """The few instructions that the activation is written in, in float32 as PTX defines them; both approximations rounded."""
    values: dict[str, np.ndarray] = {f"${4 + i}": x.astype(np.float32) for i, x in enumerate(inputs)}

    def value(word: str) -> Any:
        if word.startswith("0f"):
            return np.uint32(int(word[2:], 16)).view(np.float32)
        return np.int64(int(word, 16)) if word.startswith("0x") else values[word]

    def wide(words: list[str]) -> list[Any]:
        return [np.asarray(value(word), np.float64) for word in words]

    def flushed(x: Any) -> np.ndarray:
        x = np.asarray(x, np.float64).astype(np.float32)
        return np.where(np.abs(x) < FLOAT32.smallest_normal, np.float32(0), x)

    for line in assembly.strip("{} ").split(";"):
        operation, _, rest = line.strip().partition(" ")
        if not operation or operation == ".reg":
            continue
        target, *words = [word.strip() for word in rest.split(",")]
        match operation:
            case "ex2.approx.ftz.f32":
                values[target] = flushed(np.exp2(*wide(words)))
            case "rcp.approx.ftz.f32":
                values[target] = flushed(1 / wide(words)[0])
            case "add.ftz.f32":
                values[target] = flushed(np.add(*wide(words)))
            case "min.NaN.f32":
                values[target] = np.minimum(*wide(words)).astype(np.float32)
            case "neg.f32":
                values[target] = -value(words[0])
            case "mul.f32":
                values[target] = np.multiply(*wide(words)).astype(np.float32)
            case "fma.rn.f32":
                a, b, c = wide(words)
                values[target] = (a * b + c).astype(np.float32)
            case "mov.b32":
                source = value(words[0])
                values[target] = source.view(np.float32 if source.dtype == np.int32 else np.int32)
            case "sub.s32":
                values[target] = (int(value(words[0])) - value(words[1]).astype(np.int64)).astype(np.int32)
            case _:
                raise AssertionError(f"found {operation}, which this does not know")
    return [values[f"${i}"] for i in range(4)]


@pytest.mark.parametrize("reciprocals", [0, 1, 2, 4])
def test_the_assembly_of_the_activation_computes_it(reciprocals: int) -> None:
    z = scores()
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        found = run_ptx(triton_kernels._four(reciprocals), [np.roll(z.numpy(), i) for i in range(4)])
    for i, got in enumerate(found):
        assert is_exact_enough(z, np.roll(got, -i))
