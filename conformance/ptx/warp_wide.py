"""Instructions by which the lanes of a warp tell each other something."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.ptx.lanes import WARP, Compiler, Lanes, Run, guarded
from conformance.ptx.memory import Refused
from conformance.ptx.numbers import DTYPES, Array
from conformance.ptx.text import PtxInstruction

_LANE: Array = np.arange(WARP, dtype=np.int64)


def _require_members(x: Lanes, members: Array) -> None:
    """Refused where a lane that the mask names is not here, or one is here that it does not name."""
    named: Array = ((np.broadcast_to(members, x.shape).astype(np.uint64) >> _LANE.astype(np.uint64)) & np.uint64(1)).astype(
        bool
    )
    here = x.here
    wrong: Array = np.asarray(np.asarray(here.any(1))[:, None] & (named != here))
    if wrong.any():
        warp, lane = (int(n) for n in np.argwhere(wrong)[0])
        raise Refused(
            0, f"lane {lane} is {'missing, though' if named[warp, lane] else 'here, but not'} in the mask of members"
        )


def _shuffle(c: Compiler, i: PtxInstruction) -> Run:
    mode, target = i.parts[2], i.operands[0]
    names = target if isinstance(target, tuple) else (target,)
    put, put_valid = c.write(names[0], "b32"), c.write(names[1], "pred") if len(names) > 1 else None
    value, distance, clamp, members = (c.read(o, "b32") for o in i.operands[1:5])

    def run(x: Lanes) -> None:
        _require_members(x, members(x))
        words = np.broadcast_to(value(x), x.shape)
        by = np.broadcast_to(distance(x), x.shape).astype(np.int64) & 31
        both = np.broadcast_to(clamp(x), x.shape).astype(np.int64)
        limit, segment = both & 31, (both >> 8) & 31
        low = _LANE & segment
        high = low | (limit & ~segment)
        source, valid = _source(mode, by, low, high, segment)
        put(x, np.take_along_axis(words, np.asarray(np.where(valid, source, _LANE)), 1))
        if put_valid is not None:
            put_valid(x, valid)

    return guarded(i, c.kernel.name, run)


def _source(mode: str, by: Array, low: Array, high: Array, segment: Array) -> tuple[Array, Array]:
    if mode == "up":
        above = _LANE - by
        return above, np.asarray(above >= high)
    source: Array = {"down": _LANE + by, "bfly": _LANE ^ by, "idx": low | (by & ~segment)}[mode]
    return source, np.asarray(source <= high)


def _vote(c: Compiler, i: PtxInstruction) -> Run:
    mode = i.parts[2]
    holds, members = c.read(i.operands[1], "pred"), c.read(i.operands[2], "b32")
    put = c.write(i.operands[0], "b32" if mode == "ballot" else "pred")

    def run(x: Lanes) -> None:
        _require_members(x, members(x))
        here = x.here
        true = np.broadcast_to(holds(x), x.shape) & here
        if mode == "ballot":
            words = (true.astype(np.uint64) << _LANE.astype(np.uint64)).sum(1).astype(np.uint32)
            put(x, np.repeat(words[:, None], WARP, 1))
            return
        share = true.sum(1) / np.maximum(here.sum(1), 1)
        found = {"any": share > 0, "all": share == 1, "uni": (share == 0) | (share == 1)}[mode]
        put(x, np.repeat(np.asarray(found)[:, None], WARP, 1))

    return guarded(i, c.kernel.name, run)


_REDUCTIONS: dict[str, Callable[..., Any]] = {
    "add": np.add.reduce, "min": np.minimum.reduce, "max": np.maximum.reduce, "and": np.bitwise_and.reduce,
    "or": np.bitwise_or.reduce, "xor": np.bitwise_xor.reduce,
}  # fmt: skip


def _reduce(c: Compiler, i: PtxInstruction) -> Run:
    kind = i.parts[-1]
    if kind not in ("u32", "s32", "b32") or i.parts[2] not in _REDUCTIONS:
        raise c.unknown(i)
    reduce, read, members = _REDUCTIONS[i.parts[2]], c.read(i.operands[1], kind), c.read(i.operands[2], "b32")
    put = c.write(i.operands[0], kind)

    def run(x: Lanes) -> None:
        _require_members(x, members(x))
        values = np.broadcast_to(read(x), x.shape)
        found = np.zeros(x.shape, DTYPES[kind])
        for warp, here in enumerate(x.here):
            if here.any():
                found[warp] = reduce(values[warp][here])
        put(x, found)

    return guarded(i, c.kernel.name, run)


def _elect(c: Compiler, i: PtxInstruction) -> Run:
    """One lane of each warp is chosen: the first."""
    target = i.operands[0]
    if not isinstance(target, tuple) or len(target) != 2:
        raise c.unknown(i)
    put_lane, put_chosen = c.write(target[0], "b32"), c.write(target[1], "pred")

    def run(x: Lanes) -> None:
        here = x.here
        first: Array = np.where(here, _LANE, WARP).min(axis=1, keepdims=True)
        put_lane(x, np.repeat(first.astype(np.uint32), WARP, 1))
        put_chosen(x, first == _LANE)

    return run


def _active(c: Compiler, i: PtxInstruction) -> Run:
    put = c.write(i.operands[0], "b32")

    def run(x: Lanes) -> None:
        here = x.here
        words = (here.astype(np.uint64) << _LANE.astype(np.uint64)).sum(1).astype(np.uint32)
        put(x, np.repeat(words[:, None], WARP, 1))

    return run


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    "shfl": _shuffle, "vote": _vote, "redux": _reduce, "elect": _elect, "activemask": _active,
}  # fmt: skip
