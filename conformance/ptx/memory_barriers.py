"""Barriers in shared memory (mbarrier) and the bulk copies that complete them (cp.async.bulk).

A phase ends when all arrivals have come and all bytes that were expected. Copies complete late, in an order that the seed
draws, and their bytes belong to a warp of their own, the copy engine, which only who waited for the barrier knows of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from conformance.ptx.access import shared_units
from conformance.ptx.lanes import Compiler, Lanes, LaneState, Run, guarded
from conformance.ptx.memory import IN_FLIGHT, SHARED_BASE, Refused
from conformance.ptx.numbers import Array
from conformance.ptx.text import PtxInstruction


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
    target: int
    """Where in the state's shared memory."""
    source: int
    size: int
    barrier: MemoryBarrier


@dataclass
class BackgroundWork:
    """The barriers of some blocks by block and address, and the copies that are under way."""

    barriers: dict[tuple[int, int], MemoryBarrier] = field(default_factory=dict)
    copies: list[BulkCopy] = field(default_factory=list)
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
    shared.bytes[copy.target : copy.target + copy.size] = words[copy.source - low : copy.source - low + copy.size]
    units = shared_units(state, np.array([copy.target]), copy.size)[0]
    times = work_of(state).times
    now = times[copy.block] = times.get(copy.block, 0) + 1
    shared.writer[units], shared.when[units], shared.unfenced[units] = engine, now, False
    copy.barrier.joined[engine] = now
    copy.barrier.bytes -= copy.size
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


def bulk_copy(c: Compiler, i: PtxInstruction) -> Run:
    """cp.async.bulk from global to shared memory, which completes bytes of a barrier."""
    spaces = [part.partition(":")[0] for part in i.parts[3:5]]
    if spaces != ["shared", "global"] or "mbarrier:complete_tx:bytes" not in i.parts or "tensor" in i.parts:
        raise c.unknown(i)
    target, source, size, barrier = (
        c.address(i.operands[0]),
        c.address(i.operands[1]),
        c.read(i.operands[2], "u32"),
        i.operands[3],
    )
    at = c.address(barrier)

    def run(x: Lanes) -> None:
        state, sizes = x.state, x.active(size(x)).astype(np.int64)
        targets, sources, barriers = (x.active(read(x)) for read in (target, source, at))
        for n, row in enumerate(x.rows):
            if sizes[n] % 16:
                raise Refused(n, f"copies {sizes[n]} bytes, expected a multiple of 16")
            one, block = np.arange(len(sizes)) == n, int(row) // state.warps
            state.memory.require(sources, one, int(sizes[n]), 16)
            first = int(state.shared.offsets(targets[[n]], np.array([block]), 16)[0])
            if first + int(sizes[n]) > block * state.shared.stride + state.shared.size:
                raise Refused(n, f"copies {sizes[n]} bytes beyond the end of shared memory")
            units = shared_units(state, np.array([first]), int(sizes[n]))
            state.shared.write(units, np.array([row % state.warps]), state.clocks[[row]])
            state.shared.writer[units] = IN_FLIGHT
            found = _barrier_of(x, n, int(barriers[n]))
            work_of(state).copies.append(BulkCopy(block, first, int(sources[n]), int(sizes[n]), found))

    return guarded(i, c.kernel.name, run)


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {"mbarrier": _mbarrier}
