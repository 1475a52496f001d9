"""Matrix fragments of a warp: loads and stores of 8 by 8 matrices (ldmatrix, stmatrix), and products (mma.sync).

Which lane holds which element is table and formula here as the PTX ISA has them. A product is exact and rounded once, towards
zero: the ISA leaves the rounding open, and devices truncate.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.ptx.access import load_shared, store_shared
from conformance.ptx.lanes import WARP, Compiler, Lanes, Run, guarded
from conformance.ptx.memory import Refused
from conformance.ptx.numbers import Array, truncated, widen_bfloat16
from conformance.ptx.text import Operand, PtxInstruction

_LANE: Array = np.arange(WARP)
ROW, QUAD = _LANE // 4, _LANE % 4
"""A lane's row of an 8 by 8 matrix, and which quarter of that row it holds."""


def require_whole_warps(x: Lanes) -> None:
    """Refused where some lanes of a warp are missing."""
    if x.mask is not None:
        torn = x.mask.any(1) & ~x.mask.all(1)
        if torn.any():
            raise Refused(0, "only some lanes of the warp came to an instruction that takes all of them")


def _names(operand: Operand) -> tuple[str, ...]:
    return operand if isinstance(operand, tuple) else (str(operand),)


# --- 8 by 8 matrices of shared memory ----------------------------------------------------------------------------------------


def _matrix_access(c: Compiler, i: PtxInstruction) -> Run:
    """ldmatrix and stmatrix: lane n names the row n of the matrices, one below the other."""
    count = {"x1": 1, "x2": 2, "x4": 4}[next(part for part in i.parts if part in ("x1", "x2", "x4"))]
    if i.parts[-1] != "b16" or "m8n8" not in i.parts:
        raise c.unknown(i)
    loads, crossed = i.parts[0] == "ldmatrix", "trans" in i.parts
    own, other = (1, 0) if loads else (0, 1)
    address, registers = c.address(i.operands[own]), _names(i.operands[other])
    naming = np.less(_LANE, 8 * count)
    if loads:
        puts = [c.write(name, "b32") for name in registers]

        def load(x: Lanes) -> None:
            own = _some(x, naming)
            words = np.stack(load_shared(own, own.active(address(x)), 4, 4), 1).reshape(-1, count, 8, 4)
            found: Array = (_crossed(words) if crossed else words).reshape(-1, count, WARP)
            for number, put in enumerate(puts):
                put(x, _in_rows(x, found[:, number]))

        return guarded(i, c.kernel.name, load)
    reads = [c.read(name, "b32") for name in registers]

    def store(x: Lanes) -> None:
        own, whole = _some(x, naming), x.here.all(1)
        held: Array = np.stack([np.broadcast_to(read(x), x.shape)[whole] for read in reads], 1).reshape(-1, count, 8, 4)
        words = (_crossed(held) if crossed else held).reshape(-1, 4)
        store_shared(own, own.active(address(x)), [np.ascontiguousarray(words[:, n]) for n in range(4)])

    return guarded(i, c.kernel.name, store)


def _some(x: Lanes, chosen: Array) -> Lanes:
    require_whole_warps(x)
    return Lanes(x.state, x.part, x.here & chosen)


def _crossed(words: Array) -> Array:
    """Each matrix of 16-bit elements, held as rows of four words, transposed."""
    halves = np.ascontiguousarray(words).view(np.uint16)
    return np.ascontiguousarray(halves.swapaxes(-1, -2)).view(np.uint32)


def _in_rows(x: Lanes, values: Array) -> Array:
    """The values of the warps that are here, in their rows."""
    if x.mask is None:
        return values
    full: Array = np.zeros(x.shape, values.dtype)
    full[x.mask.any(1)] = values
    return full


# --- Products of fragments ---------------------------------------------------------------------------------------------------

ELEMENTS: dict[str, Callable[[Array], Array]] = {
    "f16": lambda words: words.view(np.uint16).view(np.float16),
    "bf16": lambda words: widen_bfloat16(words.view(np.uint16)),
    "tf32": lambda words: (words & np.uint32(0xFFFFE000)).view(np.float32),
    "s8": lambda words: words.view(np.int8),
    "u8": lambda words: words.view(np.uint8),
}
"""The elements that a word of a fragment holds, by the type of the matrix."""
IN_A_WORD = {"f16": 2, "bf16": 2, "tf32": 1, "s8": 4, "u8": 4}


@functools.cache
def places_a(words: int, each: int) -> Array:
    """The place of each element (word, lane, element) of A in the matrix, row by row."""
    word, lane, element = np.ogrid[:words, :WARP, :each]
    row = ROW[lane] + 8 * (word % 2)
    column = QUAD[lane] * each + element + 4 * each * (word // 2)
    return np.asarray(row * (4 * each * max(1, words // 2)) + column).reshape(-1)


@functools.cache
def places_b(words: int, each: int) -> Array:
    """As `places_a`, of B, which has 8 columns."""
    word, lane, element = np.ogrid[:words, :WARP, :each]
    return np.asarray((QUAD[lane] * each + element + 4 * each * word) * 8 + ROW[lane]).reshape(-1)


def fragment(words: list[Array], kind: str, places: Array) -> Array:
    """The matrix (warps, elements) that registers hold, in float64."""
    held = np.stack([np.ascontiguousarray(w) for w in words], 1)
    elements = ELEMENTS[kind](held).reshape(held.shape[0], -1)
    found = np.empty(elements.shape, np.float64)
    found[:, places] = elements
    return found


_SHAPE = re.compile(r"m16n8k(\d+)")


def _product(c: Compiler, i: PtxInstruction) -> Run:
    """mma.sync of 16 rows and 8 columns: D = A B + C."""
    shape = next((m for m in map(_SHAPE.fullmatch, i.parts) if m), None)
    kinds = i.parts[-4:]
    if shape is None or i.parts[0] != "mma" or "row" not in i.parts or "col" not in i.parts or "sp" in i.parts:
        raise c.unknown(i)
    target, first, second, added = (_names(operand) for operand in i.operands[:4])
    if kinds[1] not in ELEMENTS or kinds[2] not in ELEMENTS or kinds[0] not in ACCUMULATED or kinds[3] != kinds[0]:
        raise c.unknown(i)
    reads_a, reads_b, reads_c = ([c.read(name, "b32") for name in names] for names in (first, second, added))
    puts = [c.write(name, "b32") for name in target]
    k, (unpack, pack) = int(shape[1]), ACCUMULATED[kinds[0]]
    of_a, of_b = places_a(len(first), IN_A_WORD[kinds[1]]), places_b(len(second), IN_A_WORD[kinds[2]])
    if of_a.size != 16 * k or of_b.size != 8 * k:
        raise c.unknown(i)

    def run(x: Lanes) -> None:
        require_whole_warps(x)
        a, b, accumulated = ([np.broadcast_to(read(x), x.shape) for read in reads] for reads in (reads_a, reads_b, reads_c))
        left = fragment(a, kinds[1], of_a).reshape(-1, 16, k)
        right = fragment(b, kinds[2], of_b).reshape(-1, k, 8)
        total = left @ right + gathered(unpack(accumulated))
        for put, values in zip(puts, pack(scattered(total)), strict=True):
            put(x, values)

    return guarded(i, c.kernel.name, run)


def gathered(four: Array) -> Array:
    """The 16 by 8 matrix whose elements lanes hold by fours, (warps, 4, lanes)."""
    return four.reshape(-1, 2, 2, 8, 4).transpose(0, 1, 3, 4, 2).reshape(-1, 16, 8)


def scattered(matrix: Array) -> Array:
    """The inverse of `gathered`."""
    return matrix.reshape(-1, 2, 8, 4, 2).transpose(0, 1, 4, 2, 3).reshape(-1, 4, WARP)


def _single(words: list[Array]) -> Array:
    return np.stack(words, 1).view(np.float32).astype(np.float64)


def _halves(words: list[Array]) -> Array:
    pairs = np.stack(words, 1).astype(np.uint32)
    low, high = (pairs & np.uint32(0xFFFF)).astype(np.uint16), (pairs >> np.uint32(16)).astype(np.uint16)
    return np.stack([low, high], 2).reshape(pairs.shape[0], -1, WARP).view(np.float16).astype(np.float64)


def _in_halves(four: Array) -> list[Array]:
    words = four.astype(np.float16).view(np.uint16).astype(np.uint32)
    return [words[:, n] | (words[:, n + 1] << np.uint32(16)) for n in range(0, words.shape[1], 2)]


def _whole(words: list[Array]) -> Array:
    return np.stack(words, 1).view(np.int32).astype(np.float64)


ACCUMULATED: dict[str, tuple[Callable[[list[Array]], Array], Callable[[Array], Any]]] = {
    "f32": (_single, lambda four: list(truncated(four).view(np.uint32).swapaxes(0, 1))),
    "f16": (_halves, _in_halves),
    "s32": (_whole, lambda four: list(four.astype(np.int64).astype(np.int32).view(np.uint32).swapaxes(0, 1))),
}
"""By the type of C and D: words to numbers (warps, elements, lanes), and back."""

OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    "ldmatrix": _matrix_access, "stmatrix": _matrix_access, "mma": _product,
}  # fmt: skip
