"""Copies in the background (cp.async) from global to shared memory: their bytes arrive when they are waited for, not before.

So whoever forgets to wait, or waits for too few groups, reads a place that is still being copied to, which is refused. Each
thread has groups of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from conformance.ptx.access import shared_units
from conformance.ptx.lanes import WARP, Compiler, Lanes, LaneState, Run, guarded
from conformance.ptx.memory import IN_FLIGHT
from conformance.ptx.memory_barriers import bulk
from conformance.ptx.numbers import Array
from conformance.ptx.text import PtxInstruction


@dataclass
class PendingCopy:
    """What the active lanes of one instruction copy."""

    lanes: Array
    """Of the whole state."""
    groups: Array
    """How many groups the lane had committed before it."""
    sources: Array
    offsets: Array
    """Where in shared memory."""
    width: int
    taken: Array
    """Bytes that are read; the others become zeros."""

    def take(self, chosen: Array) -> PendingCopy:
        """The part of some lanes."""
        return PendingCopy(
            self.lanes[chosen], self.groups[chosen], self.sources[chosen], self.offsets[chosen], self.width, self.taken[chosen]
        )


class CopyQueue:
    """The copies of some blocks that have not been waited for, and how many groups each lane has committed."""

    def __init__(self, lanes: int) -> None:
        self.committed = np.zeros(lanes, np.int64)
        self.pending: list[PendingCopy] = []


def queue_of(state: LaneState) -> CopyQueue:
    """The state's queue."""
    found: CopyQueue = state.queues.setdefault("copies", CopyQueue(state.total * WARP))
    return found


def lanes_of(x: Lanes) -> Array:
    """The active lanes, counted in the state."""
    lanes = np.arange(x.part.start * WARP, x.part.stop * WARP)
    return lanes if x.mask is None else lanes[x.mask.reshape(-1)]


def _copy(c: Compiler, i: PtxInstruction) -> Run:
    if i.parts[1:3] == ("async", "commit_group"):
        return _commit
    if i.parts[1:3] in (("async", "wait_group"), ("async", "wait_all")):
        return _wait(c, i)
    if "bulk" in i.parts:
        return bulk(c, i)
    if i.parts[1] != "async" or i.parts[2] not in ("ca", "cg") or i.parts[3].partition(":")[0] != "shared":
        raise c.unknown(i)
    target, source, width = c.address(i.operands[0]), c.address(i.operands[1]), int(str(i.operands[2]), 0)
    taken = c.read(i.operands[3], "u32") if len(i.operands) > 3 else None

    def run(x: Lanes) -> None:
        state, queue, lanes = x.state, queue_of(x.state), lanes_of(x)
        sources, offsets = x.active(source(x)), state.shared.offsets(x.active(target(x)), x.blocks, width)
        length = x.active(taken(x)).astype(np.int64) if taken is not None else np.full(lanes.size, width)
        for size in np.unique(length[length > 0]):
            some = length == size
            state.memory.require(sources, some, int(size), width)
        units = shared_units(state, offsets, width)
        state.shared.write(units, x.warps, state.clocks[x.rows])
        state.shared.writer[units] = IN_FLIGHT
        queue.pending.append(PendingCopy(lanes, queue.committed[lanes], sources, offsets, width, np.minimum(length, width)))

    return guarded(i, c.kernel.name, run)


def _commit(x: Lanes) -> None:
    queue_of(x.state).committed[lanes_of(x)] += 1


def _wait(c: Compiler, i: PtxInstruction) -> Run:
    """Until at most so many of a lane's latest groups are under way; wait_all: none, and nothing that has no group yet."""
    left = int(str(i.operands[0]), 0) if i.operands else -1

    def run(x: Lanes) -> None:
        queue = queue_of(x.state)
        limit: Array = np.full(queue.committed.size, -1)
        lanes = lanes_of(x)
        limit[lanes] = queue.committed[lanes] - left
        kept = []
        for copy in queue.pending:
            done = copy.groups < limit[copy.lanes]
            if done.any():
                _arrive(x.state, copy.take(done))
            if not done.all():
                kept.append(copy.take(~done))
        queue.pending = kept

    return run


def _arrive(state: LaneState, copy: PendingCopy) -> None:
    """The bytes are there, stored by the warp that waited for them."""
    shared, rows = state.shared, copy.lanes // WARP
    words, low = state.memory.words(1)
    each = np.arange(copy.width)
    real = each < copy.taken[:, None]
    first = (copy.sources - np.uint64(low)).astype(np.int64)
    bytes_ = words[np.where(real, first[:, None] + each, 0)]
    shared.bytes[copy.offsets[:, None] + each] = np.where(real, bytes_, 0)
    units, warps = shared_units(state, copy.offsets, copy.width), rows % state.warps
    shared.writer[units] = warps[:, None]
    shared.when[units] = state.clocks[rows, warps][:, None]


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {"cp": _copy}
