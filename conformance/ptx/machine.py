"""Execute a kernel: lanes in lockstep as far as they go the same way, warps in an order that a seed decides."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from conformance.ptx import access, arithmetic, copies, matrices, memory_barriers, synchronising, warp_groups, warp_wide
from conformance.ptx.faults import KernelFault, UnknownInstruction
from conformance.ptx.lanes import Compiler, Lanes, LaneState, Run, guarded
from conformance.ptx.memory import Refused
from conformance.ptx.numbers import Array
from conformance.ptx.text import PtxInstruction, PtxKernel


def _branch_by_number(c: Compiler, i: PtxInstruction) -> Run:
    """brx.idx: each lane goes to the label that its register counts out in a table."""
    number = c.read(i.operands[0], "u32")
    places = np.array([c.kernel.labels[name] for name in c.kernel.tables[str(i.operands[1])]])

    def run(x: Lanes) -> None:
        chosen = x.active(number(x))
        if (chosen >= places.size).any():
            k = int((chosen >= places.size).argmax())
            raise Refused(k, f"branches to number {int(chosen[k])} of {places.size} labels")
        pc = x.state.pc[x.part]
        pc[x.here] = places[chosen]

    return guarded(i, c.kernel.name, run)


OPERATIONS: dict[str, Callable[[Compiler, PtxInstruction], Run]] = {
    **arithmetic.OPERATIONS, **access.OPERATIONS, **warp_wide.OPERATIONS, **synchronising.OPERATIONS,
    **copies.OPERATIONS, **matrices.OPERATIONS, **warp_groups.OPERATIONS,
    **memory_barriers.OPERATIONS, "brx": _branch_by_number,
}  # fmt: skip
CONTROL = ("bra", "ret", "exit", "trap")
BLOCKING = ("bar", "barrier", "brx")
MOST_STEPS = 20_000_000
"""Instructions that lanes in lockstep may execute before the kernel is taken not to end."""


@dataclass(frozen=True)
class ExecutionStep:
    """A compiled instruction."""

    kind: str
    """One of `CONTROL`, "blocking", or "plain"."""
    guard: int
    """The register of its predicate, -1 without one."""
    negated: bool
    run: Run | None
    target: int
    instruction: PtxInstruction


def compiled(kernel: PtxKernel, symbols: dict[str, int]) -> list[ExecutionStep]:
    """The kernel's steps. UnknownInstruction names what the interpreter does not know."""
    compiler = Compiler(kernel, symbols)
    return [_step(compiler, instruction) for instruction in kernel.instructions]


def _step(c: Compiler, i: PtxInstruction) -> ExecutionStep:
    guard = c.index[i.guard] if i.guard else -1
    base = i.parts[0]
    if base in CONTROL:
        target = c.kernel.labels[str(i.operands[0])] if base == "bra" else -1
        return ExecutionStep(base, guard, i.negated, None, target, i)
    if base not in OPERATIONS:
        raise c.unknown(i)
    try:
        run = OPERATIONS[base](c, i)
    except UnknownInstruction:
        raise
    except (KeyError, IndexError, ValueError, StopIteration, AssertionError) as error:
        raise c.unknown(i, f"as it stands in {i.text!r}") from error
    blocks = base in BLOCKING or (base == "mbarrier" and i.parts[1] in ("test_wait", "try_wait"))
    return ExecutionStep("blocking" if blocks else "plain", guard, i.negated, run, -1, i)


class PtxMachine:
    """Runs some blocks to their end."""

    def __init__(self, steps: list[ExecutionStep], state: LaneState, order: np.random.Generator | None) -> None:
        self.steps, self.state, self.order = steps, state, order
        self.executed = 0

    def run(self) -> None:
        """KernelFault where warps wait for each other in vain, or never end."""
        state = self.state
        while state.alive.any():
            before = self.executed
            for part in self._parts():
                self._run_part(part)
            synchronising.open_for_ended(state)
            stuck = self.executed == before
            if not memory_barriers.advance(state, self.order, stuck) and stuck and state.alive.any():
                waiting = (synchronising.describe_waiting(state), memory_barriers.describe_waiting(state))
                raise KernelFault(
                    f"{state.kernel.name}: a deadlock; {'; '.join(filter(None, waiting)) or 'no warp can go on'}"
                )

    def _parts(self) -> Iterator[slice]:
        """All warps at once; or, in an order that was asked for, in pieces of the random order's choice."""
        total = self.state.total
        if self.order is None or total == 1:
            yield slice(0, total)
            return
        pieces = int(self.order.integers(2, 5))
        cuts = sorted({0, total, *(int(n) for n in self.order.integers(1, total, pieces - 1))})
        parts = [slice(a, b) for a, b in itertools.pairwise(cuts)]
        yield from (parts[n] for n in self.order.permutation(len(parts)))

    def _run_part(self, part: slice) -> None:
        """As far as these warps go without the others."""
        state = self.state
        while True:
            ready = state.alive[part] & ~state.blocked[part][:, None]
            if not ready.any():
                return
            pc = state.pc[part]
            at = int(pc[ready].min())
            here = ready & (pc == at)
            others = ready & ~here
            stop = int(pc[others].min()) if others.any() else len(self.steps)
            whole = bool(here.all())
            end = self._run_straight(Lanes(state, part, None if whole else here), at, stop)
            if self.executed > MOST_STEPS:
                raise KernelFault(f"{state.kernel.name}: still running after {self.executed} instructions; expected an end")
            if end is not None:
                state.pc[part] = np.where(here, end, pc)

    def _run_straight(self, x: Lanes, at: int, stop: int) -> int | None:
        """Execute until the lanes divide, wait, end, or meet others at ``stop``; where they are, None where each knows."""
        steps, plain_end = self.steps, len(self.steps)
        while at < stop:
            step = steps[at]
            self.executed += 1
            x_now: Lanes | None = x
            if step.guard >= 0:
                holds = x.state.registers[step.guard][x.part]
                x_now = x.masked(~holds if step.negated else holds)
            if x_now is not None:
                if step.kind == "plain":
                    step.run(x_now)  # type: ignore[misc]
                elif step.kind == "bra" and x_now.mask is x.mask and stop == plain_end:
                    at = step.target
                    continue
                else:
                    return self._turn(step, x, x_now, at)
            at += 1
        if at >= plain_end:
            return self._end(x, at)
        return at

    def _end(self, x: Lanes, at: int) -> int:
        state = x.state
        state.alive[x.part] &= False if x.mask is None else ~x.mask
        return at

    def _turn(self, step: ExecutionStep, x: Lanes, taken: Lanes, at: int) -> int | None:
        """A branch that divides, an end, a barrier: set each lane's place."""
        state = x.state
        pc = state.pc[x.part]
        here: Array | bool = True if x.mask is None else x.mask
        went: Array | bool = True if taken.mask is None else taken.mask
        pc[...] = np.where(here, at + 1, pc)
        if step.kind == "bra":
            pc[...] = np.where(went, step.target, pc)
        elif step.kind in ("ret", "exit"):
            state.alive[x.part] &= ~np.asarray(went)
        elif step.kind == "trap":
            raise KernelFault(f"{state.kernel.name}, {step.instruction.place}, {taken.name(0)}: trap")
        else:
            step.run(taken)  # type: ignore[misc]
        return None
