"""Loads, stores and atomic operations on parameters, global and shared memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.ptx.lanes import Compiler, Lanes, LaneState, Read, Run, guarded
from conformance.ptx.memory import NOBODY, Refused
from conformance.ptx.numbers import DTYPES, UNSIGNED, Array
from conformance.ptx.text import WIDTHS, Address, PtxInstruction

VECTORS = {"v2": 2, "v4": 4, "v8": 8}


def kind_of(i: PtxInstruction) -> str:
    """The type of each element that an access moves."""
    return next(part for part in reversed(i.parts) if part in WIDTHS)


def space_of(i: PtxInstruction) -> str:
    """The space of an access; empty for a generic address."""
    return next((part.partition(":")[0] for part in i.parts[1:] if part.partition(":")[0] in _SPACES), "")


_SPACES = ("global", "shared", "param", "local", "const")


def _load(c: Compiler, i: PtxInstruction) -> Run:
    space, kind = space_of(i), kind_of(i)
    if space == "param":
        return _load_parameter(c, i, kind)
    if space == "local":
        raise c.unknown(i, "of local memory")
    count = next((VECTORS[part] for part in i.parts if part in VECTORS), 1)
    target = i.operands[0]
    puts = [c.write(name, kind) for name in (target if isinstance(target, tuple) else (target,))]
    address, width = c.address(i.operands[1]), WIDTHS[kind]

    def load(x: Lanes) -> None:
        addresses = x.active(address(x))
        if space == "shared" or (not space and bool(addresses[0] < 2**32)):
            columns = load_shared(x, addresses, width, count)
        else:
            columns = load_global(x, addresses, width, count)
        for put, column in zip(puts, columns, strict=True):
            put(x, x.spread(column).view(DTYPES[kind]))

    return guarded(i, c.kernel.name, load)


def _load_parameter(c: Compiler, i: PtxInstruction, kind: str) -> Run:
    source, target = i.operands[1], i.operands[0]
    assert isinstance(source, Address)
    puts = [c.write(name, kind) for name in (target if isinstance(target, tuple) else (target,))]
    width, name, offset = WIDTHS[kind], source.base, source.offset

    def load(x: Lanes) -> None:
        held = x.state.parameters.get(name)
        if held is None or offset < 0 or offset + width * len(puts) > held.size:
            raise Refused(0, f"{width * len(puts)} bytes at {offset} of the parameter {name}, which has no such bytes")
        for number, put in enumerate(puts):
            own = held[offset + width * number : offset + width * (number + 1)]
            put(x, np.frombuffer(own.tobytes(), DTYPES[kind])[0])

    return guarded(i, c.kernel.name, load)


def load_global(x: Lanes, addresses: Array, width: int, count: int) -> list[Array]:
    """Words of so many bytes, ``count`` neighbours from each address."""
    memory = x.state.memory
    units = memory.units(addresses, width * count)
    _require_order(x, units, width * count, "stored")
    words, low = memory.words(width)
    first = ((addresses - np.uint64(low)) // np.uint64(width)).astype(np.int64)
    return [words[first + n] for n in range(count)]


def store_global(x: Lanes, addresses: Array, columns: list[Array]) -> None:
    """Store words, each column's beside those of the one before."""
    memory, width = x.state.memory, columns[0].dtype.itemsize
    whole = width * len(columns)
    units = memory.units(addresses, whole)
    _require_order(x, units, whole, "also stored")
    every = units[:, None] + np.arange(max(1, whole // memory.unit))
    own = _own_names(x)[:, None]
    memory.writer[every] = own
    crowded = memory.writer[every] != own
    if crowded.any():
        k, u = (int(n) for n in np.argwhere(crowded)[0])
        block, warp = divmod(int(memory.writer[every[k, u]]), x.state.warps)
        raise Refused(k, f"was also stored by warp {warp} of block {block} with no barrier between: a race")
    memory.when[every] = x.state.clocks[x.rows, x.warps][:, None]
    np.add.at(memory.stores, every, 1)
    words, low = memory.words(width)
    first = ((addresses - np.uint64(low)) // np.uint64(width)).astype(np.int64)
    for number, column in enumerate(columns):
        words[first + number] = column


def _own_names(x: Lanes) -> Array:
    """Each lane's warp, counted in the whole launch."""
    return (x.rows + x.state.first_block * x.state.warps).astype(np.int32)


def _require_order(x: Lanes, units: Array, width: int, what: str) -> None:
    """Refused where another warp stored there, and no barrier lies between."""
    state, memory = x.state, x.state.memory
    every = units[:, None] + np.arange(max(1, width // memory.unit))
    writer = memory.writer[every]
    own = _own_names(x)[:, None]
    other = (writer != NOBODY) & (writer != own)
    if not other.any():
        return
    same = other & (writer // state.warps == own // state.warps)
    known = np.take_along_axis(state.clocks[x.rows], np.where(same, writer % state.warps, 0), 1)
    late = same & (memory.when[every] > known)
    if not state.communicates:
        late |= other & ~same
    if late.any():
        k, u = (int(n) for n in np.argwhere(late)[0])
        block, warp = divmod(int(writer[k, u]), state.warps)
        raise Refused(k, f"was {what} by warp {warp} of block {block} with no barrier between: a race")


# --- Shared memory -----------------------------------------------------------------------------------------------------------


def shared_units(state: LaneState, offsets: Array, width: int) -> Array:
    """The units of shared memory of each access, (accesses, units)."""
    unit = state.shared.unit
    return offsets[:, None] // unit + np.arange(max(1, width // unit))


def load_shared(x: Lanes, addresses: Array, width: int, count: int) -> list[Array]:
    """As `load_global`, of each block's own memory."""
    shared = x.state.shared
    offsets = shared.offsets(addresses, x.blocks, width * count)
    shared.read(shared_units(x.state, offsets, width * count), x.warps, x.state.clocks[x.rows])
    words = shared.bytes.view(UNSIGNED[width])
    return [words[offsets // width + n] for n in range(count)]


def store_shared(x: Lanes, addresses: Array, columns: list[Array]) -> None:
    """As `store_global`."""
    shared, width = x.state.shared, columns[0].dtype.itemsize
    whole = width * len(columns)
    offsets = shared.offsets(addresses, x.blocks, whole)
    words = shared.bytes.view(UNSIGNED[width])
    first = offsets // width
    stood = _hold(words, first, columns)
    for number, column in enumerate(columns):
        words[first + number] = column
    units = shared_units(x.state, offsets, whole)
    shared.write(units, x.warps, x.state.clocks[x.rows], stood=stood, stands=_hold(words, first, columns))


def _hold(words: Array, first: Array, columns: list[Array]) -> Array:
    """Whether memory holds what each access stores."""
    return np.asarray(np.all([words[first + number] == column for number, column in enumerate(columns)], axis=0))


def _store(c: Compiler, i: PtxInstruction) -> Run:
    space, kind = space_of(i), kind_of(i)
    if space in ("local", "param"):
        raise c.unknown(i, f"to {space} memory")
    source = i.operands[1]
    reads = [c.read(name, kind) for name in (source if isinstance(source, tuple) else (source,))]
    address, raw = c.address(i.operands[0]), UNSIGNED[WIDTHS[kind]]

    def store(x: Lanes) -> None:
        addresses = x.active(address(x))
        columns = [x.active(np.asarray(read(x)).view(raw)) for read in reads]
        shared = space == "shared" or (not space and bool(addresses[0] < 2**32))
        (store_shared if shared else store_global)(x, addresses, columns)

    return guarded(i, c.kernel.name, store)


# --- Atomic operations -------------------------------------------------------------------------------------------------------

_ATOMIC: dict[str, Callable[..., Any]] = {
    "add": lambda old, new: old + new,
    "min": min,
    "max": max,
    "and": lambda old, new: old & new,
    "or": lambda old, new: old | new,
    "xor": lambda old, new: old ^ new,
    "exch": lambda old, new: new,
    "cas": lambda old, expected, new: new if old == expected else old,
}


def _atomic(c: Compiler, i: PtxInstruction) -> Run:
    """atom and red: lane by lane, since lanes may name the same place."""
    kind, space = kind_of(i), space_of(i)
    operator = next((part for part in i.parts if part in _ATOMIC), "")
    if not operator or kind.endswith("x2") or kind in ("bf16", "f16", "b128"):
        raise c.unknown(i)
    returns = i.parts[0] == "atom"
    address = c.address(i.operands[returns])
    operands = i.operands[returns + 1 :]
    count = len(operands[0]) if isinstance(operands[0], tuple) else 1
    if count > 1 and returns:
        raise c.unknown(i)
    columns: list[list[Read]] = [
        [c.read(operand[n] if isinstance(operand, tuple) else operand, kind) for operand in operands] for n in range(count)
    ]
    put = c.write(i.operands[0], kind) if returns else None
    compute = _ATOMIC[operator]

    def run(x: Lanes) -> None:
        addresses = x.active(address(x))
        words, first = _place(x, addresses, space, WIDTHS[kind], count)
        typed = words.view(DTYPES[kind])
        for n, readers in enumerate(columns):
            values = [x.active(np.asarray(read(x))) for read in readers]
            before = np.empty(first.size, DTYPES[kind])
            for k, at in enumerate(first):
                before[k] = typed[at + n]
                typed[at + n] = compute(before[k], *(column[k] for column in values))
        if put is not None:
            put(x, x.spread(before))

    return guarded(i, c.kernel.name, run)


def _place(x: Lanes, addresses: Array, space: str, width: int, count: int) -> tuple[Array, Array]:
    """The words that an atomic operation changes, and the first of each lane."""
    if space == "shared":
        offsets = x.state.shared.offsets(addresses, x.blocks, width * count)
        return x.state.shared.bytes.view(UNSIGNED[width]), offsets // width
    memory = x.state.memory
    memory.units(addresses, width * count)
    words, low = memory.words(width)
    return words, ((addresses - np.uint64(low)) // np.uint64(width)).astype(np.int64)


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    "ld": _load,
    "ldu": _load,
    "st": _store,
    "atom": _atomic,
    "red": _atomic,
}
