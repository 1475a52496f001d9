"""The lanes that execute an instruction together, and how instructions read and write their registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from conformance.ptx.faults import UnknownInstruction
from conformance.ptx.memory import GlobalMemory, Refused, SharedMemory, fault
from conformance.ptx.numbers import DTYPES, UNSIGNED, Array
from conformance.ptx.text import WIDTHS, Address, Operand, PtxInstruction, PtxKernel

WARP = 32
POISON = {1: np.uint8(0), 2: np.uint16(0x7FD5), 4: np.uint32(0x7FD5D5D5), 8: np.uint64(0x7FD5D5D57FD5D5D5)}
"""What registers hold that were never written: NaN, and far outside as an address."""


@dataclass
class LaneState:
    """Some blocks of a launch while they run: arrays over (warps, lanes)."""

    kernel: PtxKernel
    warps: int
    """Of a block."""
    first_block: int
    memory: GlobalMemory
    shared: SharedMemory
    parameters: dict[str, Array]
    """Each parameter's bytes."""
    registers: list[Array]
    specials: dict[str, Array]
    symbols: dict[str, int]
    pc: Array
    alive: Array
    blocked: Array
    """Warps that wait for others."""
    clocks: Array
    """(warps, warps of a block and the copy engine): what each warp knows of the others of its block."""
    communicates: bool = False
    """Whether the kernel has atomic instructions, by which blocks may order what they do."""
    synchronisers: dict[Any, Any] = field(default_factory=dict)
    queues: dict[str, Any] = field(default_factory=dict)
    """What is under way in the background, by kind."""

    @property
    def total(self) -> int:
        """Warps of all blocks."""
        return int(self.pc.shape[0])

    def tick(self, warps: Array) -> None:
        """Begin a new time of these warps."""
        self.clocks[warps, warps % self.warps] += 1


@dataclass(eq=False)
class Lanes:
    """The lanes of neighbouring warps that execute an instruction together; ``mask`` None: all of them."""

    state: LaneState
    part: slice
    mask: Array | None

    @property
    def shape(self) -> tuple[int, int]:
        return self.part.stop - self.part.start, WARP

    def masked(self, also: Array) -> Lanes | None:
        """Those for which a predicate holds too, or None."""
        both = also if self.mask is None else self.mask & also
        if both.all():
            return self if self.mask is None else Lanes(self.state, self.part, None)
        return Lanes(self.state, self.part, both) if both.any() else None

    @cached_property
    def rows(self) -> Array:
        """The warp of each active lane, as a row of the state's arrays."""
        rows = np.repeat(np.arange(self.part.start, self.part.stop), WARP)
        return rows if self.mask is None else rows[self.mask.reshape(-1)]

    @cached_property
    def warps(self) -> Array:
        """The warp of each active lane, counted in its block."""
        return self.rows % self.state.warps

    @cached_property
    def blocks(self) -> Array:
        """The block of each active lane, counted in the state."""
        return self.rows // self.state.warps

    def active(self, values: Array) -> Array:
        """The values of active lanes, in one row."""
        full = np.broadcast_to(values, self.shape)
        return full.reshape(-1) if self.mask is None else full[self.mask]

    def spread(self, values: Array) -> Array:
        """Values of active lanes in their places; the others have nothing of use."""
        if self.mask is None:
            return values.reshape(self.shape)
        full = np.zeros(self.shape, values.dtype)
        full[self.mask] = values
        return full

    @property
    def here(self) -> Array:
        """Which lanes are active, (warps, lanes)."""
        return np.ones(self.shape, bool) if self.mask is None else self.mask

    def name(self, number: int) -> str:
        """The active lane of this number, in words."""
        lanes = np.flatnonzero(self.here)
        lane = int(lanes[number]) + self.part.start * WARP
        block, thread = divmod(lane, self.state.warps * WARP)
        return f"block {block + self.state.first_block}, warp {thread // WARP}, lane {thread % WARP}"


Run = Callable[[Lanes], None]
Read = Callable[[Lanes], Array]
Write = Callable[[Lanes, Array], None]


class Compiler:
    """Turns operands of one kernel into functions of `Lanes`."""

    def __init__(self, kernel: PtxKernel, symbols: dict[str, int]) -> None:
        self.kernel, self.symbols = kernel, symbols
        self.index = {name: number for number, name in enumerate(kernel.registers)}
        self.widths = [WIDTHS[kind] for kind in kernel.registers.values()]

    def unknown(self, instruction: PtxInstruction, what: str = "") -> UnknownInstruction:
        """The interpreter does not know an instruction, or one of its forms."""
        return UnknownInstruction(
            f"the PTX interpreter does not know {instruction.opcode}{f' {what}' if what else ''} "
            f"({self.kernel.name}, {instruction.place})"
        )

    def read(self, operand: Operand, kind: str) -> Read:
        """What an operand holds, as values of a type."""
        dtype = np.dtype(DTYPES[kind])
        if not isinstance(operand, str):
            raise UnknownInstruction(f"found {operand}, expected one register or number")
        if operand.startswith("!"):
            positive = self.read(operand[1:], kind)
            return lambda x: ~positive(x)
        if operand in self.index:
            return self._register(self.index[operand], dtype)
        if operand.startswith("%"):
            return lambda x: x.state.specials[operand][x.part].astype(dtype)
        constant = _constant(operand, dtype, self.symbols)
        return lambda x: constant

    def _register(self, index: int, dtype: np.dtype[Any]) -> Read:
        width = self.widths[index]
        if dtype == np.bool_:
            return lambda x: x.state.registers[index][x.part]
        if width == dtype.itemsize:
            return lambda x: x.state.registers[index][x.part].view(dtype)
        narrow = UNSIGNED[dtype.itemsize]
        return lambda x: x.state.registers[index][x.part].astype(narrow).view(dtype)

    def write(self, operand: Operand, kind: str) -> Write:
        """Put values of a type into a register; wider registers get zeros or the sign above."""
        if operand == "_":
            return lambda x, values: None
        if not isinstance(operand, str) or operand not in self.index:
            raise UnknownInstruction(f"found {operand}, expected a register")
        index, dtype = self.index[operand], np.dtype(DTYPES[kind])
        width = self.widths[index]
        raw = np.dtype(np.bool_) if dtype == np.bool_ else np.dtype(UNSIGNED[width])
        wide = np.dtype(f"{'i' if dtype.kind == 'i' else 'u'}{width}")

        def put(x: Lanes, values: Array) -> None:
            values = np.asarray(values, dtype)
            if raw != dtype:
                values = values.view(raw) if width == dtype.itemsize else values.astype(wide).view(raw)
            if x.mask is None:
                x.state.registers[index][x.part] = values
            else:
                np.copyto(x.state.registers[index][x.part], values, where=x.mask)

        return put

    def address(self, operand: Operand, width: int = 8) -> Read:
        """The address that an operand names, in 64 bits."""
        if not isinstance(operand, Address):
            raise UnknownInstruction(f"found {operand}, expected an address in brackets")
        offset = np.uint64(operand.offset % 2**64)
        if operand.base in self.index:
            kind = "u32" if self.widths[self.index[operand.base]] == 4 else "u64"
            base = self.read(operand.base, kind)
            if kind == "u32":
                return lambda x: (base(x).astype(np.uint64) + offset) & np.uint64(0xFFFFFFFF)
            return lambda x: base(x) + offset
        fixed = np.uint64(_constant(operand.base, np.dtype(np.uint64), self.symbols)) + offset
        return lambda x: np.broadcast_to(fixed, x.shape)


def _constant(word: str, dtype: np.dtype[Any], symbols: dict[str, int]) -> Array:
    bits: int | None = None
    if word in symbols:
        bits = symbols[word]
    elif word[:2] in ("0f", "0F") and len(word) == 10:
        return (
            np.array(int(word[2:], 16), np.uint32)
            .view(np.float32)
            .astype(dtype if dtype.kind == "f" else np.float32)
            .view(dtype if dtype.itemsize == 4 or dtype.kind == "f" else np.uint32)
        )
    elif word[:2] in ("0d", "0D") and len(word) == 18:
        return np.array(int(word[2:], 16), np.uint64).view(np.float64).view(dtype)
    if bits is None:
        try:
            bits = int(word.rstrip("U"), 8 if word[:1] == "0" and word.rstrip("U").isdigit() and len(word) > 1 else 0)
        except ValueError:
            raise UnknownInstruction(f"the PTX interpreter does not know the name {word}") from None
    if dtype == np.bool_:
        return np.array(bool(bits))
    size = dtype.itemsize
    return np.array(bits % (1 << (8 * size)), UNSIGNED[size]).view(dtype)


def guarded(instruction: PtxInstruction, kernel: str, access: Run) -> Run:
    """Have an access's refusal name the place and the lane."""

    def run(x: Lanes) -> None:
        try:
            access(x)
        except Refused as refused:
            raise fault(kernel, instruction.place, instruction.text, x.name(refused.number), str(refused)) from None

    return run
