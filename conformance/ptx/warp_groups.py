"""Products of warp groups (wgmma): 64 rows, of which each of four warps has 16, with operands in shared memory.

They run in the background. Their registers are NaN until they have been waited for, and only then is shared memory read, so
that whoever waits for too little is wrong. What they read must have been made known to them by fence.proxy.async.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from conformance.ptx.lanes import POISON, WARP, Compiler, Lanes, LaneState, Run, guarded
from conformance.ptx.matrices import ACCUMULATED, IN_A_WORD, fragment, gathered, places_a, require_whole_warps, scattered
from conformance.ptx.matrices import ELEMENTS as _OF_WORDS
from conformance.ptx.memory import SHARED_BASE, UNFINISHED, Refused
from conformance.ptx.numbers import UNSIGNED, Array
from conformance.ptx.text import PtxInstruction

SWIZZLES = {0: 16, 1: 128, 2: 64, 3: 32}
"""Bytes of a row of a swizzled pattern, by the descriptor's mode (PTX ISA 9.1, section 9.7.15.5.1.2.2)."""


def addresses_of(descriptors: Array, rows: Array, columns: Array, size: int, crossed: bool) -> Array:
    """Where the elements (row, column) of a matrix lie, (descriptors, rows, columns), by section 9.7.15.5.1.2.1.3.

    ``columns`` count along K. ``crossed``: elements that lie beside each other are of one column.
    """
    d = descriptors.astype(np.int64)[:, None, None]
    start, leading, stride = (((d >> shift) & 0x3FFF) << 4 for shift in (0, 16, 32))
    row = np.array([SWIZZLES[int(mode)] for mode in (descriptors >> np.uint64(62)).astype(np.int64)])[:, None, None]
    plain = row == 16
    r, k = rows[None, :, None], columns[None, None, :]
    if crossed:
        wide = row // size
        along, across = np.where(plain, stride, leading), np.where(plain, leading, stride)
        found = start + r % wide * size + r // wide * along + k % 8 * row + k // 8 * across
    else:
        inside = np.where(plain, k * size % 16 + k * size // 16 * leading, k * size)
        found = start + r % 8 * row + r // 8 * stride + inside
    pieces = row // 16 - 1
    return np.asarray(found ^ (((found >> 7) & pieces) << 4))


@dataclass(frozen=True)
class GroupProduct:
    """One instruction's form."""

    kind: str
    """Of A and B."""
    accumulator: str
    k: int
    n: int
    targets: tuple[int, ...]
    """The registers of D."""
    crossed_a: bool
    crossed_b: bool
    signs: float

    def read(self, state: LaneState, places: Array) -> Array:
        """The elements at places of shared memory."""
        raw = state.shared.bytes.view(UNSIGNED[places_size(self.kind)])[places // places_size(self.kind)]
        return np.asarray(_OF_WORDS[self.kind](np.ascontiguousarray(raw).view(np.uint32)).reshape(places.shape), np.float64)


def places_size(kind: str) -> int:
    """Bytes of an element."""
    return 4 // IN_A_WORD[kind]


@dataclass
class PendingProduct:
    """One instruction of some warps, which has not been waited for."""

    form: GroupProduct
    rows: Array
    """The warps, in the state."""
    groups: Array
    a: Array
    """The fragment, (warps, 16, K), or where its elements lie in shared memory."""
    a_held: bool
    b: Array
    adds: Array
    """Whether D is added to."""

    def take(self, chosen: Array) -> PendingProduct:
        return PendingProduct(
            self.form, self.rows[chosen], self.groups[chosen], self.a[chosen], self.a_held, self.b[chosen], self.adds[chosen]
        )


class ProductQueue:
    """What has not been waited for: products, and what their registers will hold."""

    def __init__(self, warps: int) -> None:
        self.committed = np.zeros(warps, np.int64)
        self.pending: list[PendingProduct] = []
        self.held: dict[int, Array] = {}
        self.under_way: dict[int, Array] = {}
        """By register: in how many products of each warp it is."""


def queue_of(state: LaneState) -> ProductQueue:
    """The state's queue."""
    found: ProductQueue = state.queues.setdefault("products", ProductQueue(state.total))
    return found


def _rows(x: Lanes) -> Array:
    require_whole_warps(x)
    return np.asarray(np.flatnonzero(x.here.all(1)) + x.part.start)


def _group(c: Compiler, i: PtxInstruction) -> Run:
    action = i.parts[1]
    if action == "fence":
        return lambda x: None
    if action == "commit_group":
        return _commit
    if action == "wait_group":
        return _wait(int(str(i.operands[0]), 0))
    if action != "mma_async" or "sp" in i.parts:
        raise c.unknown(i)
    return _product(c, i)


def _product(c: Compiler, i: PtxInstruction) -> Run:
    shape = next(m for m in (re.fullmatch(r"m64n(\d+)k(\d+)", part) for part in i.parts) if m)
    accumulator, kind = i.parts[-3], i.parts[-1]
    if kind not in _OF_WORDS or i.parts[-2] != kind or accumulator not in ACCUMULATED:
        raise c.unknown(i)
    target, first, second, adds, *further = i.operands
    assert isinstance(target, tuple)
    numbers = [int(str(word), 0) for word in further]
    crossings = [bool(n) for n in numbers[2:]]
    fragments = isinstance(first, tuple)
    crossed_a, crossed_b = (False, *crossings, False)[:2] if fragments else (*crossings, False, False)[:2]
    form = GroupProduct(
        kind, accumulator, int(shape[2]), int(shape[1]), tuple(c.index[name] for name in target), crossed_a, crossed_b,
        float(np.prod(numbers[:2])),
    )  # fmt: skip
    read_a = [c.read(name, "b32") for name in first] if isinstance(first, tuple) else [c.read(first, "b64")]
    read_b, read_adds = c.read(second, "b64"), c.read(adds, "pred")
    size, columns = places_size(kind), np.arange(form.k)

    def run(x: Lanes) -> None:
        state, queue, rows = x.state, queue_of(x.state), _rows(x)
        own = rows - x.part.start

        def of_warps(values: Any) -> Array:
            return np.asarray(np.broadcast_to(values, x.shape)[own])

        def places(descriptors: Array, lines: Array, crossed: bool) -> Array:
            where = addresses_of(descriptors, lines, columns, size, crossed)
            return _claim(state, rows, where, size)

        b = places(of_warps(read_b(x))[:, 0], np.arange(form.n), crossed_b)
        if fragments:
            words = [of_warps(read(x)) for read in read_a]
            a = fragment(words, kind, places_a(len(words), IN_A_WORD[kind])).reshape(-1, 16, form.k)
        else:
            descriptors = of_warps(read_a[0](x))[:, 0]
            every = addresses_of(descriptors, np.arange(64), columns, size, crossed_a)
            quarter = (rows % 4)[:, None] * 16 + np.arange(16)
            a = _claim(state, rows, np.take_along_axis(every, quarter[:, :, None], 1), size)
        queue.pending.append(
            PendingProduct(form, rows, queue.committed[rows], a, fragments, b, of_warps(read_adds(x))[:, 0].astype(bool))
        )
        _hide(state, queue, form.targets, rows)

    return guarded(i, c.kernel.name, run)


def _claim(state: LaneState, rows: Array, addresses: Array, size: int) -> Array:
    """Note that warps read these places until they have waited. Where they lie in the state's shared memory."""
    shared, blocks, warps = state.shared, rows // state.warps, rows % state.warps
    flat = addresses.reshape(len(rows), -1)
    within = flat - SHARED_BASE
    outside = (within < 0) | (within + size > shared.size)
    if outside.any():
        k, n = (int(v) for v in np.argwhere(outside)[0])
        raise Refused(k * WARP, f"an operand at {int(within[k, n])} of a shared memory that has {shared.size} bytes")
    offsets = within + blocks[:, None] * shared.stride
    units = np.unique(offsets // shared.unit, axis=1) if len(rows) == 1 else offsets // shared.unit
    try:
        shared.read(units, warps, state.clocks[rows], background=True)
    except Refused as refused:
        raise Refused(refused.number * WARP, f"an operand {refused}") from None
    shared.reads[units, warps[:, None]] = UNFINISHED
    return np.asarray(offsets.reshape(addresses.shape))


def _hide(state: LaneState, queue: ProductQueue, targets: tuple[int, ...], rows: Array) -> None:
    """Have the registers hold nothing of use until the product has been waited for."""
    for register in targets:
        values = state.registers[register]
        held = queue.held.setdefault(register, np.zeros_like(values))
        count = queue.under_way.setdefault(register, np.zeros(state.total, np.int64))
        new = rows[count[rows] == 0]
        held[new] = values[new]
        values[new] = POISON[values.dtype.itemsize]
        count[rows] += 1


def _commit(x: Lanes) -> None:
    queue_of(x.state).committed[_rows(x)] += 1


def _wait(left: int) -> Run:
    def run(x: Lanes) -> None:
        state, queue, rows = x.state, queue_of(x.state), _rows(x)
        limit: Array = np.full(state.total, -1)
        limit[rows] = queue.committed[rows] - left
        kept: list[PendingProduct] = []
        finished: list[PendingProduct] = []
        for product in queue.pending:
            done = product.groups < limit[product.rows]
            if done.any():
                finished.append(product.take(done))
                _finish(state, queue, finished[-1])
            if not done.all():
                kept.append(product.take(~done))
        queue.pending = kept
        for product in finished:
            _note_reads(state, product, state.clocks[product.rows, product.rows % state.warps][:, None])
        for product in kept if finished else ():
            _note_reads(state, product, np.array(UNFINISHED))

    return run


def _note_reads(state: LaneState, product: PendingProduct, when: Array) -> None:
    for places in (product.b,) if product.a_held else (product.a, product.b):
        units = places.reshape(len(product.rows), -1) // state.shared.unit
        state.shared.reads[units, (product.rows % state.warps)[:, None]] = when


def _finish(state: LaneState, queue: ProductQueue, product: PendingProduct) -> None:
    """Compute, and give the registers back whose last product this was."""
    form, rows = product.form, product.rows
    left = product.a if product.a_held else form.read(state, product.a)
    right = form.read(state, product.b).swapaxes(1, 2)
    total = left @ right * form.signs
    unpack, pack = ACCUMULATED[form.accumulator]
    old = unpack([queue.held[register][rows] for register in form.targets])
    blocks = form.n // 8
    before = gathered(old.reshape(-1, 4, WARP)).reshape(-1, blocks, 16, 8).swapaxes(1, 2).reshape(-1, 16, form.n)
    total += np.where(product.adds[:, None, None], before, 0)
    four = scattered(total.reshape(-1, 16, blocks, 8).swapaxes(1, 2).reshape(-1, 16, 8)).reshape(len(rows), -1, WARP)
    for register, values in zip(form.targets, pack(four), strict=True):
        queue.held[register][rows] = values
        count = queue.under_way[register]
        count[rows] -= 1
        ready = rows[count[rows] == 0]
        state.registers[register][ready] = queue.held[register][ready]


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {"wgmma": _group}
