"""Arithmetic as PTX defines it, on NumPy arrays of any shape: rounding once, flushing, saturating, approximating.

Where PTX documents the largest error of an approximate instruction, its result here is off by that error, up or down by a hash
of the operand's bits: a kernel that passes does not depend on an approximation being better than promised.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]

DTYPES: dict[str, Any] = {
    "pred": np.bool_, "b8": np.uint8, "u8": np.uint8, "s8": np.int8, "b16": np.uint16, "u16": np.uint16, "s16": np.int16,
    "f16": np.float16, "bf16": np.uint16, "b32": np.uint32, "u32": np.uint32, "s32": np.int32, "f32": np.float32,
    "f16x2": np.uint32, "bf16x2": np.uint32, "u16x2": np.uint32, "s16x2": np.uint32, "b64": np.uint64, "u64": np.uint64,
    "s64": np.int64, "f64": np.float64, "tf32": np.uint32,
}  # fmt: skip
"""NumPy's type for each of PTX; what NumPy has no type for is words of bits."""
UNSIGNED = {1: np.uint8, 2: np.uint16, 4: np.uint32, 8: np.uint64}
FLOATS = ("f16", "bf16", "f32", "f64")
TINY = np.float32(2.0**-126)

ULPS = {"rcp": 1, "ex2": 2, "div": 2}
"""By how many units in the last place of the right result these approximate instructions may be off, in float32.

PTX ISA 9.1, sections 9.7.3.13 (rcp), 9.7.3.21 (ex2) and 9.7.3.8 (div.approx for divisors up to 2**126, and div.full).
"""
RELATIVE = {"sqrt": 2.0**-23, "rsqrt": 2.0**-22.9, "tanh": 2.0**-11}
"""The largest relative errors of others: sections 9.7.3.15, 9.7.3.16 and 9.7.3.22."""
LOGARITHM = 2.0**-22
"""Of lg2, section 9.7.3.20: absolute between 0.5 and 2, relative elsewhere."""
SINE, SINE_BEYOND = 2.0**-20.5, 2.0**-14.7
"""Absolute errors of sin and cos, sections 9.7.3.18 and 9.7.3.19: up to 2 pi, and up to 100 pi; beyond, none is promised."""


def flush(values: Array) -> Array:
    """Subnormal numbers of float32 become zeros of the same sign."""
    return np.where(np.abs(values) < TINY, np.copysign(np.float32(0), values), values)


def fma(a: Array, b: Array, c: Array) -> Array:
    """``a * b + c`` of float32, rounded once. The product is exact in float64; a tie made by the sum's rounding is undone."""
    product = a.astype(np.float64) * b
    total = product + c
    bits = np.asarray(total).view(np.int64)
    doubtful = (bits & 0x1FFFFFFF) == 0x10000000
    if doubtful.any():
        part = total - product
        error = (product - (total - part)) + (c - part)
        away = np.where((error > 0) == (total > 0), 1, -1)
        total = np.where(doubtful & (error != 0), (bits + away).view(np.float64), total)
    return total.astype(np.float32)


def truncated(values: Array) -> Array:
    """float32 of float64, rounded towards zero; what is too large for it is infinite."""
    nearest = values.astype(np.float32)
    over = np.isfinite(nearest) & (np.abs(nearest.astype(np.float64)) > np.abs(values))
    return np.where(over, np.nextafter(nearest, np.float32(0)), nearest)


def approximated(base: str, exact: Array, operand: Array) -> Array:
    """The float32 results of an approximate instruction, as wrong as they may be; ``exact`` is in float64.

    Infinity is exact, and so is 0 but for the logarithm of 1.
    """
    with np.errstate(invalid="ignore"):
        wrong = _approximated(base, exact, operand)
    is_exact = np.isinf(exact) | ((exact == 0) & (base != "lg2"))
    return np.asarray(np.where(is_exact, exact, wrong), np.float32)


def _approximated(base: str, exact: Array, operand: Array) -> Array:
    signs = _signs(operand)
    if base in ULPS:
        nearest = exact.astype(np.float32)
        return np.asarray(nearest + signs * ULPS[base] * np.spacing(np.abs(nearest)))
    if base in RELATIVE:
        return np.asarray(exact * (1 + RELATIVE[base] * signs))
    size = np.abs(operand)
    if base == "lg2":
        error = np.where((size > 0.5) & (size < 2), LOGARITHM, LOGARITHM * np.abs(exact))
    else:
        error = np.where(size <= 2 * np.pi, SINE, SINE_BEYOND)
    return np.asarray(exact + error * signs)


def _signs(operand: Array) -> Array:
    """-1 or 1 for each number, the same for the same bits."""
    bits = np.ascontiguousarray(operand, dtype=np.float32).view(np.uint32)
    return 1.0 - 2.0 * ((bits * np.uint32(0x9E3779B1)) >> np.uint32(31))


def widen_bfloat16(words: Array) -> Array:
    """float32 of bfloat16's words."""
    return np.asarray(words.astype(np.uint32) << np.uint32(16)).view(np.float32)


def narrow_bfloat16(values: Array) -> Array:
    """bfloat16's words of float32, rounded to nearest, ties to even; every NaN is the quiet 0x7fff."""
    bits = np.asarray(values, dtype=np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(values), np.uint32(0x7FFF), rounded).astype(np.uint16)


def to_integer(values: Array, kind: str, mode: str) -> Array:
    """Rounded and saturated; NaN becomes 0."""
    rounding: dict[str, Callable[[Array], Array]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
    limits = np.iinfo(DTYPES[kind])
    whole = np.nan_to_num(rounding[mode](values.astype(np.float64)), nan=0.0)
    low, high = float(limits.min), float(limits.max)
    inside = np.clip(whole, low, high)
    top = whole >= high
    return np.where(top, limits.max, np.where(top, 0, inside).astype(limits.dtype)).astype(limits.dtype)


def high_product(a: Array, b: Array) -> Array:
    """The upper half of the product of two integers of one type."""
    size = a.dtype.itemsize
    if size < 8:
        wide = np.int64 if a.dtype.kind == "i" else np.uint64
        return ((a.astype(wide) * b.astype(wide)) >> wide(8 * size)).astype(a.dtype)
    exact = np.asarray(a).astype(object) * np.asarray(b).astype(object)
    return np.asarray((exact >> 64) & (2**64 - 1)).astype(np.uint64).view(a.dtype)


def shifted(a: Array, places: Array, left: bool) -> Array:
    """Shifted; places beyond the width give zeros, or the sign where the type has one."""
    width = 8 * a.dtype.itemsize
    beyond = places >= width
    by = np.where(beyond, width - 1, places).astype(a.dtype)
    moved = (a << by) if left else (a >> by)
    if left or a.dtype.kind == "u":
        moved = np.where(beyond, a.dtype.type(0), moved)
    result: Array = moved.astype(a.dtype)
    return result


def permuted(a: Array, b: Array, selector: Array) -> Array:
    """Four bytes picked out of eight, each by four bits of the selector, whose upper one repeats the byte's sign."""
    both = (b.astype(np.uint64) << np.uint64(32)) | a.astype(np.uint64)
    result = np.zeros(np.broadcast(a, b, selector).shape, np.uint32)
    for i in range(4):
        code = (selector >> np.uint32(4 * i)) & np.uint32(15)
        byte = ((both >> ((code & np.uint32(7)) * np.uint32(8)).astype(np.uint64)) & np.uint64(255)).astype(np.uint32)
        byte = np.where(code & np.uint32(8), (byte >> np.uint32(7)) * np.uint32(255), byte)
        result |= byte << np.uint32(8 * i)
    return result


def logic(a: Array, b: Array, c: Array, table: int) -> Array:
    """Any function of three bits, by its table of eight (lop3)."""
    result = np.zeros_like(a | b | c)
    for i in range(8):
        if table >> i & 1:
            result = result | ((a if i & 4 else ~a) & (b if i & 2 else ~b) & (c if i & 1 else ~c))
    return result


def extracted(a: Array, position: Array, length: Array) -> Array:
    """A field of bits (bfe), its sign extended where the type has one."""
    width = 8 * a.dtype.itemsize
    position, length = position.astype(np.int64) & 255, np.minimum(length.astype(np.int64) & 255, width)
    bits = a.astype(np.int64) if width < 64 else a.view(np.int64)
    unsigned = np.uint64(2**64 - 1) if width == 64 else np.uint64(2**width - 1)
    plain = shifted(bits.view(np.uint64) & unsigned, position.astype(np.uint64), left=False)
    mask = np.where(length >= 64, np.uint64(2**64 - 1), (np.uint64(1) << length.astype(np.uint64)) - np.uint64(1))
    field = plain & mask
    if a.dtype.kind == "i":
        top = np.minimum(position + length - 1, width - 1).astype(np.uint64)
        negative = ((bits.view(np.uint64) >> top) & np.uint64(1)).astype(bool) & (length > 0)
        field = np.where(negative, field | ~mask, field)
    return field.astype(UNSIGNED[a.dtype.itemsize]).view(a.dtype)


def inserted(a: Array, b: Array, position: Array, length: Array) -> Array:
    """``b`` with a field of bits from ``a`` (bfi)."""
    width = 8 * a.dtype.itemsize
    position, length = position.astype(np.int64) & 255, np.minimum(length.astype(np.int64) & 255, width)
    mask = np.where(length >= 64, np.uint64(2**64 - 1), (np.uint64(1) << length.astype(np.uint64)) - np.uint64(1))
    mask = shifted(mask, position.astype(np.uint64), left=True)
    moved = shifted(a.astype(np.uint64), position.astype(np.uint64), left=True)
    return ((b.astype(np.uint64) & ~mask) | (moved & mask)).astype(a.dtype)


def largest(a: Array, b: Array) -> Array:
    """The larger, -0 below 0; a NaN is passed over."""
    found = np.fmax(a, b)
    return np.where((a == 0) & (b == 0), np.where(np.signbit(a), b, a), found)


def smallest(a: Array, b: Array) -> Array:
    """The smaller, -0 below 0; a NaN is passed over."""
    found = np.fmin(a, b)
    return np.where((a == 0) & (b == 0), np.where(np.signbit(a), a, b), found)
