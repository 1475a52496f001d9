"""Predict from the instructions of a compiled kernel of attention what its inner loop could reach.

`read_cubin` counts what `gaugeblock.inspection` reads. `KernelCounts` keeps the counts. It predicts by a model of one
multiprocessor (`Machine`) in which each pipe is busy for as long as its instructions take and nothing else takes time. What
waits for the matrix units cannot use another pipe meanwhile: two pipes run beside one another only where a wait lets products
run on, or where other warps are there that do not wait for the same. A prediction is not a measurement.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from gaugeblock.inspection.kernel import InspectedKernel, permitted
from gaugeblock.inspection.machine_code import INSTRUCTION_BYTES, Instruction, loops_with, read

MULTIPLY_ADD = ("FFMA", "FADD", "FMUL")
"""What the float32 pipe does; these loops hold almost no packed halves and integer multiplications."""
LOGIC = (
    "F2FP", "FMNMX", "FSEL", "FSETP", "IADD3", "ISETP", "LEA", "LOP3", "P2R", "PLOP3", "PRMT", "R2P", "SEL", "SHF", "VIADD",
    "VIADDMNMX", "VIMNMX",
)  # fmt: skip
"""What the pipe for comparisons, selections, conversions and integers does, at half the rate."""


@dataclass(frozen=True)
class Machine:
    """The rates of an sm_90 chip per multiprocessor and clock, as NVIDIA publishes them."""

    sms: int = 132
    gigahertz: float = 1.755
    """Clock under the load of a matrix product. The prediction in TFLOP/s depends on it, that in shares does not."""
    tensor_flops: float = 4096
    special: float = 16
    multiply_add: float = 128
    logic: float = 64
    lanes: float = 128
    """Threads for which an instruction is issued."""

    @property
    def peak(self) -> float:
        """TFLOP/s of the matrix units."""
        return self.sms * self.gigahertz * self.tensor_flops / 1000


@dataclass(frozen=True)
class KernelCounts:
    """The counts of one kernel's machine code."""

    dim: int
    products: int
    """Matrix products of the tile's size in one turn of the loop."""
    registers: int
    spilled: int
    """Bytes of local memory and stack."""
    shared: int
    loop: dict[str, int]
    """How often each opcode occurs in the innermost loop that computes scores: the shortest one, which masks nothing."""
    whole: dict[str, int]
    """The same of the whole kernel."""
    scores: float
    """Scores that one thread computes in one turn of that loop."""
    specialised: bool
    """Whether groups of warps hand registers to one another, as a producer and its consumers do."""
    waits: dict[int, int] = field(default_factory=dict)
    """Of that loop's waits for matrix products, how many let so many groups of products run on."""
    barriers: int = 0
    """Barriers in that loop at which groups of warps meet; with one, these groups are in the same turn."""
    groups: int = 1
    """Groups of four warps of a block that compute; the matrix units take products of a group at a time."""
    blocks: int = 1
    """Blocks that a multiprocessor runs at a time."""
    prologue: int = 0
    """Bytes of code ahead of that loop."""

    @property
    def independent(self) -> int:
        """Groups of warps of a multiprocessor that need not be at the same place of the loop."""
        return self.blocks * (1 if self.barriers else self.groups)

    @property
    def overlaps(self) -> bool:
        """Whether products of a group may run while the same group does other work: a wait of the loop lets some run on."""
        return not self.waits or max(self.waits) > 0

    def per_score(self, kinds: Iterable[str]) -> float:
        """Instructions of these kinds, for each score."""
        return count(self.loop, kinds) / self.scores

    @property
    def issued(self) -> float:
        """Instructions for each score."""
        return sum(self.loop.values()) / self.scores

    def clocks(self, machine: Machine) -> dict[str, float]:
        """Clocks of a multiprocessor that one score costs, for each pipe."""
        return {
            "tensor": 2 * self.products * self.dim / machine.tensor_flops,
            "special": self.per_score(("MUFU",)) / machine.special,
            "multiply-add": self.per_score(MULTIPLY_ADD) / machine.multiply_add,
            "logic": self.per_score(LOGIC) / machine.logic,
            "issue": self.issued / machine.lanes,
        }

    def time(self, machine: Machine, *, overlapped: bool) -> float:
        """Clocks for one score: the matrix units' and then the busiest other pipe's; overlapped, what the waits permit.

        Where the waits let no products run on, a group takes both in turn, and only other groups can fill the gaps: with n of
        them a score takes no less than the n-th part of that.
        """
        clocks = self.clocks(machine)
        rest = max(busy for pipe, busy in clocks.items() if pipe != "tensor")
        in_turn = clocks["tensor"] + rest
        if not overlapped:
            return in_turn
        return max(clocks["tensor"], rest, 0.0 if self.overlaps else in_turn / self.independent)

    def ceiling(self, machine: Machine, *, overlapped: bool) -> float:
        """The share of the matrix units' peak that the loop could reach."""
        return self.clocks(machine)["tensor"] / self.time(machine, overlapped=overlapped)


def count(found: dict[str, int], kinds: Iterable[str]) -> int:
    """How many of the opcodes are of these kinds, whatever their suffixes."""
    wanted = set(kinds)
    return sum(number for opcode, number in found.items() if opcode.partition(".")[0] in wanted)


def read_cubin(cubin: bytes, *, dim: int, products: int, tile: int, warps: int, threads: int, shared: int) -> KernelCounts:
    """Read a compiled kernel; the arguments are what the machine code does not tell.

    ``tile`` is the number of scores in one turn of the loop, ``warps`` those that compute, ``threads`` all of a block.
    """
    (found,) = read(cubin)
    loop = innermost(found.instructions)
    waits = Counter(n for i in loop for kind, n in permitted(i) if kind == "matrix products")
    first = min(i.address for i in loop)
    return KernelCounts(
        dim, products, found.resources.registers, found.resources.spilled, shared, dict(Counter(i.opcode for i in loop)),
        found.opcodes, tile / (32 * warps), found.count("USETMAXREG") > 0, dict(sorted(waits.items())),
        sum(map(_is_shared, loop)), max(1, warps // 4),
        InspectedKernel("", "", found, threads, shared).occupancy.blocks,
        sum(INSTRUCTION_BYTES for i in found.instructions if i.address < first),
    )  # fmt: skip


def _is_shared(instruction: Instruction) -> bool:
    """Whether it is a barrier of more than one group of four warps: of the whole block where it names no number of threads."""
    threads = re.search(r",\s*0x([0-9a-f]+)\s*$", instruction.operands)
    return instruction.opcode.startswith("BAR.SYNC") and (threads is None or int(threads[1], 16) > 128)


def innermost(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The shortest loop that computes scores, that is with exponentials or a tanh in it; all of the kernel where none has."""
    return min(loops_with(instructions, ("MUFU.EX2", "MUFU.TANH")), key=len, default=list(instructions))
