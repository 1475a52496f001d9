"""The interpreter of PTX on kernels written by hand: what it computes, and what it finds wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from conformance.ptx import numbers
from conformance.ptx.faults import KernelFault, UnknownInstruction
from conformance.ptx.launch import program
from tests.ptx.small_kernels import HEAD, REVERSED, SUM_OF_WARP, kernel, run


def binary(operation: str, kind: str, a: object, b: object, dtype: type) -> npt.NDArray[Any]:
    """What an instruction of two operands makes of arrays of 32."""
    register = "%f" if kind in ("f32",) else "%r"
    text = kernel(f"""
add.s64 %rd10, %rd0, %rd9; add.s64 %rd11, %rd1, %rd9; add.s64 %rd12, %rd2, %rd9;
ld.global.{kind} {register}1, [%rd10];
ld.global.{kind} {register}2, [%rd11];
{operation} {register}3, {register}1, {register}2;
st.global.{kind} [%rd12], {register}3;
""", pointers=3)  # fmt: skip
    first: npt.NDArray[Any] = np.resize(np.array(a, dtype), 32)
    second: npt.NDArray[Any] = np.resize(np.array(b, dtype), 32)
    found: npt.NDArray[Any] = np.zeros(32, dtype)
    run(text, first, second, found)
    return found


@pytest.mark.parametrize(
    ("operation", "a", "b", "expected"),
    [
        ("add.s32", [2**31 - 1, -5], [1, 3], [-(2**31), -2]),
        ("div.s32", [-7, 7], [2, -2], [-3, -3]),
        ("rem.s32", [-7, 7], [2, -2], [-1, 1]),
        ("mul.hi.s32", [2**30, -(2**30)], [8, 8], [2, -2]),
        ("shr.s32", [-8, 8], [1, 40], [-4, 0]),
        ("shl.b32", [1, 1], [31, 32], [-(2**31), 0]),
        ("min.s32", [-1, 4], [1, 2], [-1, 2]),
    ],
)
def test_integers(operation: str, a: list[int], b: list[int], expected: list[int]) -> None:
    assert binary(operation, "s32", a, b, np.int32)[:2].tolist() == expected


@pytest.mark.parametrize(
    ("operation", "a", "b", "expected"),
    [
        ("mul.f32", [1e-30, 3.0], [1e-10, 0.5], [np.float32(1e-30) * np.float32(1e-10), 1.5]),
        ("mul.ftz.f32", [1e-30, 3.0], [1e-10, 0.5], [0.0, 1.5]),
        ("max.f32", [np.nan, -0.0], [2.0, 0.0], [2.0, 0.0]),
        ("max.NaN.f32", [np.nan, 1.0], [2.0, 0.0], [np.nan, 1.0]),
        ("div.rn.f32", [1.0, -1.0], [3.0, 0.0], [np.float32(1) / np.float32(3), -np.inf]),
    ],
)
def test_floats(operation: str, a: list[float], b: list[float], expected: list[float]) -> None:
    np.testing.assert_array_equal(binary(operation, "f32", a, b, np.float32)[:2], np.array(expected, np.float32))


def test_a_fused_product_is_rounded_once() -> None:
    a = np.array([1 + 2**-12], np.float32)
    # 2**-60 is lost in float64, and decides a tie of float32
    once = numbers.fma(a, a, np.array([2.0**-60], np.float32))
    assert once[0] == np.float32(1 + 2**-11 + 2**-23)
    assert numbers.fma(a, a, np.array([-(2.0**-60)], np.float32))[0] == np.float32(1 + 2**-11)


@pytest.mark.parametrize(
    ("base", "function", "low", "high", "ulps"),
    [("rcp", np.reciprocal, 0.5, 2.0, 1), ("ex2", np.exp2, -3.0, 3.0, 2), ("sqrt", np.sqrt, 0.5, 2.0, 0)],
)
def test_approximations_are_as_wrong_as_they_may_be(
    base: str, function: Callable[[npt.NDArray[Any]], npt.NDArray[Any]], low: float, high: float, ulps: int
) -> None:
    x = np.linspace(low, high, 1001, dtype=np.float32)[:-1]
    exact = function(x.astype(np.float64))
    found = numbers.approximated(base, exact, x).astype(np.float64)
    errors = found - exact.astype(np.float32) if ulps else (found - exact) / exact
    allowed = ulps * np.spacing(exact.astype(np.float32)).astype(np.float64) if ulps else numbers.RELATIVE[base]
    assert errors.min() < 0 < errors.max()
    # where it is relative, the result's own rounding comes on top
    assert np.all(abs(errors) <= allowed + (0 if ulps else 2.0**-24))
    assert np.median(abs(errors) / allowed) >= (1 if ulps else 0.5)


def test_approximations_of_zero_and_infinity_are_exact() -> None:
    x = np.array([0.0, np.inf], np.float32)
    with np.errstate(divide="ignore"):
        assert numbers.approximated("lg2", np.log2(x.astype(np.float64)), x).tolist() == [-np.inf, np.inf]
        assert numbers.approximated("rcp", 1 / x.astype(np.float64), x).tolist() == [np.inf, 0.0]
    assert numbers.approximated("lg2", np.zeros(1), np.ones(1, np.float32))[0] != 0
    assert numbers.approximated("sqrt", np.sqrt(x.astype(np.float64)), x).tolist() == [0.0, np.inf]
    assert numbers.approximated("ex2", np.array([0.0, np.inf]), np.array([-np.inf, np.inf], np.float32)).tolist() == [
        0.0,
        np.inf,
    ]


def test_logarithm_and_sine_are_off_by_what_the_range_allows() -> None:
    x = np.array([0.75, 1.5, 8.5, 300.0], np.float32)
    logarithm = numbers.approximated("lg2", np.log2(x.astype(np.float64)), x) - np.log2(x.astype(np.float64))
    assert abs(logarithm[0]) >= numbers.LOGARITHM / 2 > abs(np.log2(0.75)) * numbers.LOGARITHM
    sine = abs(numbers.approximated("sin", np.sin(x.astype(np.float64)), x) - np.sin(x.astype(np.float64)))
    assert sine[1] < 2 * numbers.SINE < numbers.SINE_BEYOND / 2 < sine[2]


def test_permuted_bytes() -> None:
    a, b = np.array([0x03020180], np.uint32), np.array([0x07060504], np.uint32)
    assert numbers.permuted(a, b, np.array([0x7410], np.uint32))[0] == 0x07040180
    assert numbers.permuted(a, b, np.array([0x0008], np.uint32))[0] == 0x808080FF


def test_lanes_that_go_different_ways_meet_again() -> None:
    found = np.zeros(64, np.uint32)
    run(
        kernel("""
mov.u32 %r1, 0;
mov.u32 %r2, 0;
loop:
setp.ge.u32 %p1, %r1, %r0;
@%p1 bra done;
add.u32 %r2, %r2, %r1;
add.u32 %r1, %r1, 1;
bra loop;
done:
add.s64 %rd10, %rd0, %rd9;
st.global.u32 [%rd10], %r2;
""", pointers=1), found, threads=64)  # fmt: skip
    np.testing.assert_array_equal(found, [n * (n - 1) // 2 for n in range(64)])


def test_sum_of_a_warp_and_every_byte_stored_once() -> None:
    values, found = np.arange(64, dtype=np.float32), np.zeros(64, np.float32)
    stores = run(SUM_OF_WARP, values, found, threads=64)
    np.testing.assert_array_equal(found, np.repeat([np.arange(32).sum(), np.arange(32, 64).sum()], 32).astype(np.float32))
    assert np.all(stores.counts["p1"] == 1)
    assert np.all(stores.counts["p0"] == 0)


@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_blocks_have_shared_memory_of_their_own(seed: int | None) -> None:
    values, found = np.arange(128, dtype=np.uint32), np.zeros(128, np.uint32)
    run(REVERSED, values, found, threads=128, shared=512, seed=seed)
    np.testing.assert_array_equal(found, values[::-1])


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("bar.sync 0;", "", r"warp 0, lane 0: .*(never stored|a race)"),
        (
            "ld.global.u32 %r1, [%rd10];",
            "ld.global.u32 %r1, [%rd10+32768];",
            r"4 bytes at 0x[0-9a-f]+: -?[0-9]+ bytes from the beginning of p",
        ),
        ("st.global.u32 [%rd11], %r7;", "st.global.u32 [%rd11+2], %r7;", "no multiple of 4"),
        ("st.shared.u32 [%r4], %r1;", "", "was never stored"),
        ("st.shared.u32 [%r4], %r1;", "st.shared.u32 [%r4+512], %r1;", "a shared memory that has 512 bytes"),
        ("bar.sync 0;", "bar.sync 0; bar.sync 0, 64; bar.sync 0, 256;", "a deadlock|twice before it opened"),
        ("bar.sync 0;", "setp.gt.u32 %p1, %r0, 40; @%p1 bar.sync 0;", "only some lanes"),
        ("ld.shared.u32 %r7, [%r6];", "ld.shared.u32 %r7, [%r6]; st.shared.u32 [%r4], %r1;", "a race"),
    ],
)
def test_faults_name_the_place(before: str, after: str, message: str) -> None:
    assert before in REVERSED
    with pytest.raises(KernelFault, match=message):
        run(
            REVERSED.replace(before, after), np.arange(128, dtype=np.uint32), np.zeros(128, np.uint32),
            threads=128, shared=512,
        )  # fmt: skip


def test_a_fault_says_kernel_line_instruction_lane_and_address() -> None:
    values = np.arange(32, dtype=np.float32)
    with pytest.raises(KernelFault) as caught:
        run(SUM_OF_WARP, values, np.zeros(32, np.float32), sizes=(128, 124))
    line = next(n for n, text in enumerate(SUM_OF_WARP.splitlines(), 1) if "st.global" in text)
    assert f"k, line {line} of the PTX, 'st.global.f32 [%rd11], %f1', block 0, warp 0, lane 31: " in str(caught.value)
    assert "124 bytes from the beginning of p1, which has 124 bytes" in str(caught.value)


def test_two_blocks_that_store_one_place_are_a_race() -> None:
    with pytest.raises(KernelFault, match=r"also stored by warp 0 of block [01] with no barrier between: a race"):
        run(SUM_OF_WARP, np.zeros(32, np.float32), np.zeros(32, np.float32), blocks=2)


def test_a_shuffle_without_all_of_its_lanes() -> None:
    text = SUM_OF_WARP.replace("mov.b32 %r1, %f1;", "mov.b32 %r1, %f1; setp.eq.u32 %p1, %r0, 3; @%p1 bra over;", 1)
    with pytest.raises(KernelFault, match="lane 3 is missing, though in the mask of members"):
        run(text.replace("add.s64 %rd11", "over:\nadd.s64 %rd11"), np.zeros(32, np.float32), np.zeros(32, np.float32))


@pytest.mark.parametrize("operation", ["tcgen05.ld.sync.b32 %r1, [%r2]", "add.cc.u32 %r1, %r1, %r1"])
def test_what_is_not_known_is_not_run(operation: str) -> None:
    line = HEAD.count("\n") + 9
    with pytest.raises(UnknownInstruction, match=rf"does not know {operation.split()[0]} \(k, line {line} of the PTX\)"):
        program(kernel(f"{operation};"))


def test_names_in_braces_hide_those_outside() -> None:
    found = np.zeros(32, np.uint32)
    run(
        kernel("""
mov.u32 %r1, 0;
{
.reg .b32 own;
mov.u32 own, 0;
again:
add.u32 own, own, 1;
setp.lt.u32 %p1, own, 3;
@%p1 bra again;
add.u32 %r1, %r1, own;
}
{
.reg .b32 own;
mov.u32 own, 0;
again:
add.u32 own, own, 1;
setp.lt.u32 %p1, own, 4;
@%p1 bra again;
add.u32 %r1, %r1, own;
}
add.s64 %rd10, %rd0, %rd9;
st.global.u32 [%rd10], %r1;
""", pointers=1), found)  # fmt: skip
    assert np.all(found == 7)
