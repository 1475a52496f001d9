"""Barriers and fences: what makes warps wait for each other, and what they know of each other afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from conformance.ptx.lanes import WARP, Compiler, Lanes, LaneState, Run, guarded
from conformance.ptx.memory import Refused
from conformance.ptx.text import PtxInstruction


@dataclass
class Barrier:
    """A named barrier of a block: who has come since it last opened."""

    arrived: list[int] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    needed: int = 0


def _barrier(c: Compiler, i: PtxInstruction) -> Run:
    """bar and barrier, .sync and .arrive: warps come one and all; the last one's coming opens it."""
    action = next((part for part in i.parts if part in ("sync", "arrive")), "")
    if not action or "cluster" in i.parts:
        raise c.unknown(i)
    number = c.read(i.operands[0], "u32")
    threads = c.read(i.operands[1], "u32") if len(i.operands) > 1 else None

    def run(x: Lanes) -> None:
        state = x.state
        if x.mask is not None:
            _require_whole_warps(x)
        numbers = np.broadcast_to(number(x), x.shape)
        counts = np.broadcast_to(threads(x), x.shape) if threads is not None else None
        here = np.arange(x.part.start, x.part.stop) if x.mask is None else np.flatnonzero(x.mask.any(1)) + x.part.start
        for warp in here:
            own = warp - x.part.start
            lane = 0 if x.mask is None else int(x.mask[own].argmax())
            needed = int(counts[own, lane]) if counts is not None else state.warps * WARP
            _arrive(state, int(warp), int(numbers[own, lane]), needed, waits=action == "sync")

    return guarded(i, c.kernel.name, run)


def _require_whole_warps(x: Lanes) -> None:
    assert x.mask is not None
    alive = x.state.alive[x.part]
    torn = x.mask.any(1) & (x.mask != alive).any(1)
    if torn.any():
        raise Refused(0, "only some lanes of the warp came to the barrier")


def _arrive(state: LaneState, warp: int, number: int, needed: int, *, waits: bool) -> None:
    block = warp // state.warps
    barrier = state.synchronisers.setdefault((block, number), Barrier())
    if barrier.arrived and barrier.needed != needed:
        raise Refused(0, f"barrier {number} waits for {barrier.needed} threads, and this warp expects {needed}")
    if warp in barrier.arrived:
        raise Refused(0, f"warp {warp % state.warps} came to barrier {number} twice before it opened")
    barrier.needed = needed
    barrier.arrived.append(warp)
    if waits:
        barrier.waiting.append(warp)
        state.blocked[warp] = True
    missing = 0 if needed != state.warps * WARP else _ended(state, block)
    if len(barrier.arrived) * WARP >= needed - missing:
        open_barrier(state, barrier)


def _ended(state: LaneState, block: int) -> int:
    """Threads of a block that have ended: a barrier of all threads does not wait for them."""
    own = state.alive[block * state.warps : (block + 1) * state.warps]
    return int((~own.any(1)).sum()) * WARP


def open_barrier(state: LaneState, barrier: Barrier) -> None:
    """Who waited goes on, and knows what all who came had done."""
    joined = state.clocks[barrier.arrived].max(0)
    waiting = np.array(barrier.waiting, np.int64)
    state.clocks[waiting] = np.maximum(state.clocks[waiting], joined)
    state.tick(np.array(barrier.arrived, np.int64))
    state.blocked[waiting] = False
    barrier.arrived, barrier.waiting = [], []


def open_for_ended(state: LaneState) -> None:
    """Open what waits for warps alone that have ended."""
    for (block, _), barrier in state.synchronisers.items():
        full = barrier.needed == state.warps * WARP
        if barrier.arrived and full and len(barrier.arrived) * WARP >= barrier.needed - _ended(state, block):
            open_barrier(state, barrier)


def describe_waiting(state: LaneState) -> str:
    """Which warps wait at which barriers, in words."""
    found = []
    for (block, number), barrier in state.synchronisers.items():
        if barrier.waiting:
            warps = ", ".join(str(w % state.warps) for w in barrier.waiting)
            count = f"{len(barrier.arrived) * WARP} of {barrier.needed} threads came"
            found.append(f"warps {warps} of block {block + state.first_block} at barrier {number}, to which {count}")
    return "; ".join(found)


def _nothing(c: Compiler, i: PtxInstruction) -> Run:
    """Fences and hints: stores are seen at once here, so that only barriers order them."""
    return lambda x: None


def _fence(c: Compiler, i: PtxInstruction) -> Run:
    """fence.proxy.async alone does something here."""
    if i.parts[1:3] != ("proxy", "async"):
        return _nothing(c, i)

    def run(x: Lanes) -> None:
        for row in np.unique(x.rows):
            x.state.shared.fence(int(row) // x.state.warps, x.state.clocks[row])

    return run


def _block_or_warp(c: Compiler, i: PtxInstruction) -> Run:
    """bar.warp.sync needs nothing: lanes of a warp never overtake each other here."""
    return _nothing(c, i) if "warp" in i.parts else _barrier(c, i)


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    "bar": _block_or_warp, "barrier": _block_or_warp, "fence": _fence, **dict.fromkeys(
        ("membar", "prefetch", "prefetchu", "applypriority", "discard", "nanosleep", "pragma", "setmaxnreg",
         "griddepcontrol"), _nothing,
    ),
}  # fmt: skip
