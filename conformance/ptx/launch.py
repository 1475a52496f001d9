"""ExecutedLaunch a kernel from its PTX on memory of the host, as a driver would on a device."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from conformance.ptx import access
from conformance.ptx.lanes import POISON, WARP, LaneState
from conformance.ptx.machine import ExecutionStep, PtxMachine, compiled
from conformance.ptx.memory import PARAMETER_BASE, PARAMETER_ROOM, SHARED_BASE, Allocation, GlobalMemory, SharedMemory, Stores
from conformance.ptx.numbers import Array
from conformance.ptx.text import WIDTHS, PtxKernel, Variable, parse

LANES_AT_ONCE = 8192
"""Lanes that run together at most: what NumPy does for each instruction costs little more for many."""
MOST_THREADS, MOST_BLOCKS = 1024, 65535
"""Of a block, and along a grid's y and z: every device's limits."""

Three = tuple[int, int, int]


@dataclass(frozen=True)
class Program:
    """One kernel, ready to be launched."""

    kernel: PtxKernel
    steps: list[ExecutionStep]
    symbols: dict[str, int]
    static: int
    """Bytes of shared memory that its text asks for."""
    constants: dict[str, Array]
    unit: int
    """The least width of an access to global memory, in bytes."""
    shared_unit: int
    communicates: bool
    synchronises: bool
    """Whether warps wait for each other, so that their order matters."""


@functools.lru_cache(maxsize=256)
def program(ptx: str, name: str = "") -> Program:
    """The kernel of this name, or the only one. UnknownInstruction where it uses what the interpreter does not know."""
    kernels = parse(ptx)
    if not name and len(kernels) == 1:
        name = next(iter(kernels))
    if name not in kernels:
        raise ValueError(f"found the kernels {', '.join(kernels) or 'none'} in the PTX, expected {name or 'one alone'}")
    kernel = kernels[name]
    symbols, static = _shared_symbols(kernel.variables)
    symbols |= {p.name: PARAMETER_BASE + n * PARAMETER_ROOM for n, p in enumerate(kernel.parameters)}
    constants = {}
    for variable in kernel.variables:
        if variable.space in ("global", "const"):
            held = np.zeros(variable.size + 16, np.uint8)[: variable.size]
            held[: len(variable.initial)] = np.frombuffer(variable.initial, np.uint8)
            constants[variable.name] = held
            symbols[variable.name] = held.ctypes.data
    accesses = [i for i in kernel.instructions if i.parts[0] in ("ld", "st", "atom", "red", "ldu")]
    widths = {
        space: [WIDTHS[access.kind_of(i)] for i in accesses if access.space_of(i) in (space, "")]
        for space in ("global", "shared")
    }
    return Program(
        kernel, compiled(kernel, symbols), symbols, static, constants, min([4, *widths["global"]]),
        min([4, *widths["shared"]]), any(i.parts[0] in ("atom", "red") for i in kernel.instructions),
        any(i.parts[0] in ("bar", "barrier", "mbarrier") for i in kernel.instructions),
    )  # fmt: skip


def _shared_symbols(variables: Sequence[Variable]) -> tuple[dict[str, int], int]:
    """Addresses of variables in shared memory; those without a size begin behind the others."""
    symbols: dict[str, int] = {}
    end = 0
    for variable in (v for v in variables if v.space == "shared" and v.size):
        begin = -(-end // variable.align) * variable.align
        symbols[variable.name] = SHARED_BASE + begin
        end = begin + variable.size
    dynamic = [v for v in variables if v.space == "shared" and not v.size]
    if dynamic and end:
        align = max(1024, *(v.align for v in dynamic))
        end = -(-end // align) * align
    symbols |= {v.name: SHARED_BASE + end for v in dynamic}
    return symbols, end


@dataclass(frozen=True)
class Settings:
    """How launches are carried out."""

    seed: int | None = None
    """Decides the order in which warps run; None: all together."""
    find: Callable[[int], Allocation | None] = field(default=lambda address: None)
    """Finds an allocation that is known by an address alone."""


def launch(
    program: Program, grid: Three, block: Three, arguments: Sequence[bytes | int | float], allocations: Sequence[Allocation],
    *, shared: int = 0, settings: Settings | None = None,
) -> Stores:  # fmt: skip
    """Run the kernel on memory of this process, and say what it stored.

    ``arguments`` are the parameters in order: numbers, or bytes of the parameter's own size. ``shared`` is the dynamic shared
    memory in bytes. KernelFault where the kernel does what none may; UnknownInstruction, a NotRun, where it cannot be told.
    """
    settings = settings or Settings()
    memory = GlobalMemory(program.unit, settings.find)
    for allocation in allocations:
        memory.add(allocation)
    for name, held in program.constants.items():
        memory.add(Allocation(held.ctypes.data, held.size, name))
    threads, blocks = math.prod(block), math.prod(grid)
    if min(*grid, *block) < 1 or threads > MOST_THREADS or max(grid[1:]) > MOST_BLOCKS:
        raise ValueError(
            f"{program.kernel.name}: found a grid {grid} of blocks {block}, expected from 1 on, at most {MOST_THREADS} "
            f"threads in a block, and at most {MOST_BLOCKS} blocks along y and z"
        )
    if program.kernel.threads not in (0, threads):
        raise ValueError(f"found blocks of {threads} threads, and {program.kernel.name} requires {program.kernel.threads}")
    parameters = _parameters(program.kernel, arguments)
    order = None if settings.seed is None else np.random.default_rng(settings.seed)
    together = max(1, LANES_AT_ONCE // (_warps_of(block) * WARP))
    with np.errstate(all="ignore"):
        for first in range(0, blocks, together):
            state = _state(program, memory, parameters, grid, block, (first, min(together, blocks - first)), shared)
            PtxMachine(program.steps, state, order).run()
    return memory.stored()


def _parameters(kernel: PtxKernel, arguments: Sequence[bytes | int | float]) -> dict[str, Array]:
    if len(arguments) != len(kernel.parameters):
        raise ValueError(f"found {len(arguments)} arguments, and {kernel.name} has {len(kernel.parameters)} parameters")
    found = {}
    for variable, given in zip(kernel.parameters, arguments, strict=True):
        if isinstance(given, bytes):
            own = given
        elif isinstance(given, float):
            own = np.array(given, {2: np.float16, 4: np.float32, 8: np.float64}[variable.size]).tobytes()
        else:
            own = int(given % (1 << (8 * variable.size))).to_bytes(variable.size, "little")
        if len(own) != variable.size:
            raise ValueError(f"found {len(own)} bytes for {variable.name} of {kernel.name}, expected {variable.size}")
        found[variable.name] = np.frombuffer(own, np.uint8)
    return found


def _warps_of(block: Three) -> int:
    """Of a block; the last may have fewer threads than lanes."""
    return -(-math.prod(block) // WARP)


def _alive(block: Three, blocks: int) -> Array:
    """The lanes that have a thread, (warps, lanes)."""
    one = np.arange(_warps_of(block) * WARP) < math.prod(block)
    return np.tile(one, blocks).reshape(-1, WARP)


def _state(
    program: Program, memory: GlobalMemory, parameters: dict[str, Array], grid: Three, block: Three, blocks: tuple[int, int],
    shared: int,
) -> LaneState:  # fmt: skip
    warps = _warps_of(block)
    total = blocks[1] * warps
    shape = (total, WARP)
    widths = [WIDTHS[kind] for kind in program.kernel.registers.values()]
    kinds = program.kernel.registers.values()
    registers = [
        np.zeros(shape, bool) if kind == "pred" else np.full(shape, POISON[width])
        for kind, width in zip(kinds, widths, strict=True)
    ]
    clocks = np.zeros((total, warps + 1), np.int32)  # the last is the copy engine's
    clocks[np.arange(total), np.arange(total) % warps] = 1
    return LaneState(
        program.kernel, warps, blocks[0], memory, SharedMemory(blocks[1], program.static + shared, warps, program.shared_unit),
        parameters, registers, _specials(grid, block, blocks), program.symbols, np.zeros(shape, np.int64),
        _alive(block, blocks[1]), np.zeros(total, bool), clocks, program.communicates,
    )  # fmt: skip


def _specials(grid: Three, block: Three, blocks: tuple[int, int]) -> dict[str, Array]:
    threads = _warps_of(block) * WARP
    linear = np.arange(blocks[1] * threads, dtype=np.int64)
    thread, number = linear % threads, linear // threads + blocks[0]
    found = {
        "%tid.x": thread % block[0],
        "%tid.y": thread // block[0] % block[1],
        "%tid.z": thread // (block[0] * block[1]),
        "%ctaid.x": number % grid[0],
        "%ctaid.y": number // grid[0] % grid[1],
        "%ctaid.z": number // (grid[0] * grid[1]),
        "%laneid": thread % WARP,
        "%warpid": thread // WARP,
        "%smid": number % 132,
        "%lanemask_lt": (1 << (thread % WARP)) - 1,
        "%lanemask_le": (2 << (thread % WARP)) - 1,
        "%lanemask_eq": 1 << (thread % WARP),
        "%lanemask_ge": 2**32 - (1 << (thread % WARP)),
        "%lanemask_gt": 2**32 - (2 << (thread % WARP)),
    }
    for axis, name in enumerate("xyz"):
        found |= {f"%ntid.{name}": linear * 0 + block[axis], f"%nctaid.{name}": linear * 0 + grid[axis]}
        found |= {f"%cluster_ctaid.{name}": linear * 0, f"%cluster_nctaid.{name}": linear * 0 + 1}
    found |= {"%cluster_ctarank": linear * 0, "%cluster_nctarank": linear * 0 + 1}
    found |= dict.fromkeys(("%clock", "%clock64", "%globaltimer"), linear * 0)
    return {name: values.reshape(-1, WARP).astype(np.uint32) for name, values in found.items()}
