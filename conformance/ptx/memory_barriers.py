"""Barriers in shared memory (mbarrier) and the bulk copies that complete them (cp.async.bulk).

A phase ends when all arrivals have come and all bytes that were expected. Copies complete late, in an order that the seed
draws, and their bytes belong to a warp of their own, the copy engine, which only who waited for the barrier knows of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from conformance.ptx.access import shared_units
from conformance.ptx.lanes import Compiler, Lanes, LaneState, Read, Run, guarded
from conformance.ptx.memory import IN_FLIGHT, PARAMETER_BASE, PARAMETER_ROOM, SHARED_BASE, UNFINISHED, Refused
from conformance.ptx.numbers import Array
from conformance.ptx.tensor_maps import PIECE, TensorMap
from conformance.ptx.text import Address, Operand, PtxInstruction


@dataclass
class MemoryBarrier:
    """One barrier object."""

    count: int
    pending: int
    joined: Array
    """What those know who have arrived in this phase."""
    known: Array
    """What those knew who had arrived in the phase before."""
    bytes: int = 0
    """Expected, and not yet there."""
    phase: int = 0
    waiting: list[int] = field(default_factory=list)

    def settle(self, state: LaneState) -> None:
        """End the phase where nothing is missing; who waits tries again."""
        if self.pending or self.bytes:
            return
        self.phase += 1
        self.pending, self.known, self.joined = self.count, self.joined, np.zeros_like(self.joined)
        state.blocked[self.waiting] = False
        self.waiting = []


@dataclass(frozen=True)
class BulkCopy:
    """Bytes on their way from global to shared memory."""

    block: int
    targets: Array
    """Where in the state's shared memory each piece of 16 bytes lies."""
    sources: Array
    taken: Array
    """How many bytes of each piece there are; the others become zeros."""
    barrier: MemoryBarrier


@dataclass
class BackgroundWork:
    """The barriers of some blocks by block and address, and the copies that are under way."""

    barriers: dict[tuple[int, int], MemoryBarrier] = field(default_factory=dict)
    copies: list[BulkCopy] = field(default_factory=list)
    stores: list[tuple[int, Array, Array, Array, bool]] = field(default_factory=list)
    """Boxes on their way to global memory: the warp, the pieces, and whether they are added to what is there."""
    times: dict[int, int] = field(default_factory=dict)
    """How many copies of each block have been completed."""


def work_of(state: LaneState) -> BackgroundWork:
    """The state's."""
    found: BackgroundWork = state.queues.setdefault("background", BackgroundWork())
    return found


def advance(state: LaneState, order: np.random.Generator | None, stuck: bool) -> bool:
    """Complete some copies: some by chance, at least one where no warp can go on. Whether one was completed."""
    work = state.queues.get("background")
    if work is None or not work.copies:
        return False
    if order is not None:
        order.shuffle(work.copies)
    count = len(work.copies) if order is None else int(order.integers(0, len(work.copies) + 1))
    count = max(count, int(stuck))
    for copy in work.copies[:count]:
        _complete(state, copy)
    del work.copies[:count]
    return count > 0


def _complete(state: LaneState, copy: BulkCopy) -> None:
    shared, engine = state.shared, state.warps
    words, low = state.memory.words(1)
    each = np.arange(PIECE)
    real = each < copy.taken[:, None]
    held = words[np.where(real, (copy.sources - low)[:, None] + each, 0)]
    shared.bytes[copy.targets[:, None] + each] = np.where(real, held, 0)
    units = shared_units(state, copy.targets, PIECE)
    times = work_of(state).times
    now = times[copy.block] = times.get(copy.block, 0) + 1
    shared.writer[units], shared.when[units], shared.unfenced[units] = engine, now, False
    copy.barrier.joined[engine] = now
    copy.barrier.bytes -= PIECE * copy.targets.size
    copy.barrier.settle(state)


def describe_waiting(state: LaneState) -> str:
    """Which warps wait for which phase, in words."""
    work = state.queues.get("background")
    found = []
    for (block, address), barrier in work.barriers.items() if work else ():
        if barrier.waiting:
            warps = ", ".join(str(w % state.warps) for w in sorted(set(barrier.waiting)))
            found.append(
                f"warps {warps} of block {block + state.first_block} at the mbarrier at {address - SHARED_BASE} of shared "
                f"memory, where {barrier.pending} of {barrier.count} arrivals and {barrier.bytes} bytes are missing"
            )
    return "; ".join(found)


def _barrier_of(x: Lanes, number: int, address: int) -> MemoryBarrier:
    """The object at an address. Refused where there is none, or this warp cannot know of it."""
    state, row = x.state, int(x.rows[number])
    found = work_of(state).barriers.get((row // state.warps, address))
    if found is None:
        raise Refused(number, f"there is no mbarrier at {address - SHARED_BASE} of shared memory: it was not initialised")
    offsets = state.shared.offsets(np.array([address], np.uint64), np.array([row // state.warps]), 8)
    state.shared.require_order(shared_units(state, offsets, 8), state.clocks[[row]], "initialised")
    return found


def _init(c: Compiler, i: PtxInstruction) -> Run:
    address, count = c.address(i.operands[0]), c.read(i.operands[1], "u32")

    def run(x: Lanes) -> None:
        state, addresses, counts = x.state, x.active(address(x)), x.active(count(x))
        state.shared.write(shared_units(state, state.shared.offsets(addresses, x.blocks, 8), 8), x.warps, state.clocks[x.rows])
        for n, row in enumerate(x.rows):
            columns = state.clocks.shape[1]
            work_of(state).barriers[int(row) // state.warps, int(addresses[n])] = MemoryBarrier(
                int(counts[n]), int(counts[n]), np.zeros(columns, np.int32), np.zeros(columns, np.int32)
            )

    return guarded(i, c.kernel.name, run)


def _invalidate(c: Compiler, i: PtxInstruction) -> Run:
    address = c.address(i.operands[0])

    def run(x: Lanes) -> None:
        for n, at in enumerate(x.active(address(x))):
            _barrier_of(x, n, int(at))
            del work_of(x.state).barriers[int(x.rows[n]) // x.state.warps, int(at)]

    return guarded(i, c.kernel.name, run)


def _arrive(c: Compiler, i: PtxInstruction) -> Run:
    """arrive, arrive.expect_tx and expect_tx: who arrives says what it knows, and bytes that are to come are added."""
    arrives, expects = i.parts[1] == "arrive", "expect_tx" in i.parts
    operands = i.operands[1:] if arrives and isinstance(i.operands[0], str) else i.operands
    address, number = c.address(operands[0]), c.read(operands[1], "u32") if len(operands) > 1 else None

    def run(x: Lanes) -> None:
        state, addresses = x.state, x.active(address(x))
        numbers = x.active(number(x)) if number is not None else np.ones(addresses.size, np.int64)
        for n, row in enumerate(x.rows):
            barrier = _barrier_of(x, n, int(addresses[n]))
            barrier.bytes += int(numbers[n]) if expects else 0
            if not arrives:
                continue
            barrier.pending -= 1 if expects else int(numbers[n])
            if barrier.pending < 0:
                raise Refused(n, f"arrives at an mbarrier whose phase has had its {barrier.count} arrivals")
            barrier.joined = np.maximum(barrier.joined, state.clocks[row])
            barrier.settle(state)
        state.tick(np.unique(x.rows))

    return guarded(i, c.kernel.name, run)


def _wait(c: Compiler, i: PtxInstruction) -> Run:
    """test_wait.parity and try_wait.parity; a warp that finds the phase unfinished sleeps until it is not."""
    if "parity" not in i.parts:
        raise c.unknown(i)
    put, address, parity = c.write(i.operands[0], "pred"), c.address(i.operands[1]), c.read(i.operands[2], "u32")

    def run(x: Lanes) -> None:
        state, addresses, parities = x.state, x.active(address(x)), x.active(parity(x))
        done = np.zeros(addresses.size, bool)
        for n, row in enumerate(x.rows):
            barrier = _barrier_of(x, n, int(addresses[n]))
            done[n] = barrier.phase % 2 != int(parities[n]) & 1
            if done[n]:
                state.clocks[row] = np.maximum(state.clocks[row], barrier.known)
            else:
                barrier.waiting.append(int(row))
                state.blocked[row] = True
        put(x, x.spread(done))

    return guarded(i, c.kernel.name, run)


def _mbarrier(c: Compiler, i: PtxInstruction) -> Run:
    forms = {
        "init": _init,
        "inval": _invalidate,
        "arrive": _arrive,
        "expect_tx": _arrive,
        "test_wait": _wait,
        "try_wait": _wait,
    }
    if i.parts[1] not in forms or "cluster" in " ".join(i.parts).replace("shared:cluster", ""):
        raise c.unknown(i)
    return forms[i.parts[1]](c, i)


def bulk(c: Compiler, i: PtxInstruction) -> Run:
    """cp.async.bulk: to shared memory, completing bytes of a barrier, or from it, in groups; of bytes or of a tensor's box."""
    if i.parts[3] == "commit_group":
        return lambda x: None
    if i.parts[3] == "wait_group":
        return _wait_for_stores
    tensor = "tensor" in i.parts
    spaces = [part.partition(":")[0] for part in i.parts if part.partition(":")[0] in ("shared", "global")]
    modifiers = {"multicast:cluster", "im2col", "gather4", "scatter4", "tile:gather4"} & set(i.parts)
    if modifiers or (i.parts[1] == "reduce" and "add" not in i.parts) or (spaces == ["global", "shared"] and not tensor):
        raise c.unknown(i)
    return _store(c, i) if spaces == ["global", "shared"] else _load(c, i, tensor)


def _load(c: Compiler, i: PtxInstruction, tensor: bool) -> Run:
    target, source, at = c.address(i.operands[0]), c.address(i.operands[1]), c.address(i.operands[2 if tensor else 3])
    corners = _corners(c, i.operands[1]) if tensor else None
    size = None if tensor else c.read(i.operands[2], "u32")

    def run(x: Lanes) -> None:
        state, targets, sources, barriers = x.state, *(x.active(read(x)) for read in (target, source, at))
        for n, row in enumerate(x.rows):
            block, first = int(row) // state.warps, int(targets[n])
            if corners is not None:
                corner = [int(x.active(read(x))[n]) for read in corners]
                place, address, taken = _map(state, int(sources[n])).pieces(first, corner)
            else:
                assert size is not None
                length = int(x.active(size(x))[n])
                if length % PIECE:
                    raise Refused(n, f"copies {length} bytes, expected a multiple of 16")
                place = np.arange(first, first + length, PIECE)
                address, taken = int(sources[n]) + place - first, np.full(place.size, PIECE)
            offsets = _offsets(state, place, block, n)
            _require(state, address, taken, n)
            units = shared_units(state, offsets, PIECE)
            every = np.full(place.size, row)
            state.shared.write(units, every % state.warps, state.clocks[every])
            state.shared.writer[units] = IN_FLIGHT
            found = _barrier_of(x, n, int(barriers[n]))
            work_of(state).copies.append(BulkCopy(block, offsets, address, taken, found))

    return guarded(i, c.kernel.name, run)


def _corners(c: Compiler, operand: Operand) -> list[Read]:
    assert isinstance(operand, Address)
    return [c.read(name, "s32") for name in operand.coordinates]


def _map(state: LaneState, address: int) -> TensorMap:
    """The tensor map at the address of a parameter."""
    number = (address - PARAMETER_BASE) // PARAMETER_ROOM
    names = list(state.parameters)
    if not 0 <= number < len(names):
        raise Refused(0, f"found a tensor map at {address:#x}, expected one among the kernel's parameters")
    return TensorMap.decoded(state.parameters[names[number]].tobytes())


def _offsets(state: LaneState, place: Array, block: int, number: int) -> Array:
    try:
        return state.shared.offsets(place.astype(np.uint64), np.full(place.size, block), PIECE)
    except Refused as refused:
        raise Refused(number, str(refused)) from None


def _require(state: LaneState, address: Array, taken: Array, number: int) -> None:
    """Refused where bytes that are taken lie outside of every allocation."""
    try:
        for length in np.unique(taken[taken > 0]):
            state.memory.require(address.astype(np.uint64), taken == length, int(length), PIECE)
    except Refused as refused:
        raise Refused(number, str(refused)) from None


def _store(c: Compiler, i: PtxInstruction) -> Run:
    """Shared memory is read, and global memory written, when the warp waits for its groups."""
    target, source, corners = c.address(i.operands[0]), c.address(i.operands[1]), _corners(c, i.operands[0])
    adds = i.parts[1] == "reduce"

    def run(x: Lanes) -> None:
        state, targets, sources = x.state, x.active(target(x)), x.active(source(x))
        for n, row in enumerate(x.rows):
            corner = [int(x.active(read(x))[n]) for read in corners]
            tensor_map = _map(state, int(targets[n]))
            if adds and tensor_map.size != 4:
                raise c.unknown(i, f"of elements of {tensor_map.size} bytes")
            place, address, taken = tensor_map.pieces(int(sources[n]), corner)
            offsets = _offsets(state, place, int(row) // state.warps, n)
            _require(state, address, taken, n)
            units, warps = shared_units(state, offsets, PIECE), np.full(place.size, int(row) % state.warps)
            state.shared.read(units, warps, state.clocks[np.full(place.size, row)], background=True)
            state.shared.reads[units, warps[:, None]] = UNFINISHED
            work_of(state).stores.append((int(row), offsets, address, taken, adds))

    return guarded(i, c.kernel.name, run)


def _wait_for_stores(x: Lanes) -> None:
    """All of them: no kernel is known to leave a group under way."""
    state, work = x.state, work_of(x.state)
    here = set(x.rows.tolist())
    for row, offsets, address, taken, adds in (store for store in work.stores if store[0] in here):
        state.shared.reads[shared_units(state, offsets, PIECE), row % state.warps] = state.clocks[row, row % state.warps]
        real = np.arange(PIECE) < taken[:, None]
        to, held = (address[:, None] + np.arange(PIECE))[real], state.shared.bytes[offsets[:, None] + np.arange(PIECE)][real]
        if not to.size:
            continue
        units = np.unique(state.memory.units(to.astype(np.uint64), 1))
        words, low = state.memory.words(1)
        if adds:  # in any order, by as many as like
            old = np.ascontiguousarray(words[to - low]).view(np.float32)
            words[to - low] = (old + np.ascontiguousarray(held).view(np.float32)).view(np.uint8)
            continue
        state.memory.writer[units] = row + state.first_block * state.warps
        state.memory.when[units] = state.clocks[row, row % state.warps]
        state.memory.stores[units] += 1
        words[to - low] = held
    work.stores = [store for store in work.stores if store[0] not in here]


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {"mbarrier": _mbarrier}
