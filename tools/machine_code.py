"""Count the instructions of a compiled kernel, and predict from them what its inner loop could reach.

`read_cubin` counts, with the tools that Triton ships. `KernelCounts` keeps the counts. It predicts by a model of one
multiprocessor (`Machine`) in which each pipe is busy for as long as its instructions take and nothing else takes time. A
prediction is not a measurement.
"""

from __future__ import annotations

import itertools
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SHARED_LIMIT = 227 * 1024
"""Bytes of shared memory that one block may have on sm_90."""

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


class Instruction(NamedTuple):
    """One line of a listing."""

    address: int
    opcode: str
    """With its suffixes."""
    operands: str
    guarded: bool
    """Whether a predicate decides that it is executed."""

    @property
    def kind(self) -> str:
        return self.opcode.partition(".")[0]


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
        """Clocks for one score: the busiest pipe's, or the matrix units' and then the busiest other's."""
        clocks = self.clocks(machine)
        rest = max(busy for pipe, busy in clocks.items() if pipe != "tensor")
        return max(clocks["tensor"], rest) if overlapped else clocks["tensor"] + rest

    def ceiling(self, machine: Machine, *, overlapped: bool) -> float:
        """The share of the matrix units' peak that the loop could reach."""
        return self.clocks(machine)["tensor"] / self.time(machine, overlapped=overlapped)


def count(found: dict[str, int], kinds: Iterable[str]) -> int:
    """How many of the opcodes are of these kinds, whatever their suffixes."""
    wanted = set(kinds)
    return sum(number for opcode, number in found.items() if opcode.partition(".")[0] in wanted)


def read_cubin(cubin: bytes, *, dim: int, products: int, scores: float, shared: int) -> KernelCounts:
    """Read a compiled kernel; the arguments are what the machine code does not tell."""
    resources = resources_of(cubin)
    instructions = list(parse(disassemble(cubin)))
    whole = dict(Counter(i.opcode for i in instructions))
    return KernelCounts(
        dim, products, resources["REG"], resources["LOCAL"] + resources["STACK"], shared,
        dict(Counter(i.opcode for i in innermost(instructions))), whole, scores, count(whole, ("USETMAXREG",)) > 0,
    )  # fmt: skip


def parse(listing: str) -> Iterator[Instruction]:
    """The instructions of a listing with addresses."""
    for match in re.finditer(r"/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)([^;]*);", listing):
        yield Instruction(int(match[1], 16), match[3], match[4], bool(match[2]))


def innermost(instructions: Sequence[Instruction]) -> list[Instruction]:
    """The shortest loop that computes scores, that is with exponentials or a tanh in it; all of the kernel where none has."""
    blocks = _blocks(instructions)
    bodies = {loop: [i for start in sorted(loop) for i in blocks[start]] for loop in _loops(blocks)}
    scoring = [loop for loop, body in bodies.items() if any(i.opcode.startswith(("MUFU.EX2", "MUFU.TANH")) for i in body)]
    inner = [bodies[loop] for loop in scoring if not any(other < loop for other in scoring)]
    return min(inner, key=len) if inner else list(instructions)


ENDS = ("BRA", "BRX", "EXIT", "RET")


Blocks = dict[int, list[Instruction]]
"""Basic blocks by the address of their first instruction, in the order of addresses."""


def _blocks(instructions: Sequence[Instruction]) -> Blocks:
    starts = {instructions[0].address}
    for instruction, following in itertools.pairwise(instructions):
        if (target := _target(instruction)) is not None:
            starts.add(target)
        if instruction.kind in ENDS:
            starts.add(following.address)
    blocks: Blocks = {}
    for instruction in sorted(instructions):
        if instruction.address in starts:
            blocks[instruction.address] = []
        blocks[next(reversed(blocks))].append(instruction)
    return blocks


def _loops(blocks: Blocks) -> set[frozenset[int]]:
    """Loops as sets of blocks: whatever reaches a jump backwards without passing its target.

    A jump back into a loop's middle, as from the out-of-line part of a wait, encloses only the wait.
    """
    jumps = [(start, target) for start, body in blocks.items() if (target := _target(body[-1])) in blocks]
    falls = [(start, following) for start, following in itertools.pairwise(blocks) if _falls_through(blocks[start][-1])]
    before: dict[int, set[int]] = {start: set() for start in blocks}
    for start, following in (*jumps, *falls):
        before[following].add(start)
    first = min(blocks)
    bodies = [(head, _reaching(tail, head, before)) for tail, head in jumps if head <= tail]
    return {body for head, body in bodies if head == first or first not in body}


def _reaching(tail: int, head: int, before: dict[int, set[int]]) -> frozenset[int]:
    """The blocks from which the tail is reached without passing the head, and the head."""
    body, waiting = {head}, [tail]
    while waiting:
        start = waiting.pop()
        if start not in body:
            body.add(start)
            waiting.extend(before[start])
    return frozenset(body)


def _target(instruction: Instruction) -> int | None:
    found = re.search(r"0x([0-9a-f]+)", instruction.operands) if instruction.kind == "BRA" else None
    return int(found[1], 16) if found else None


def _falls_through(instruction: Instruction) -> bool:
    """Whether the instruction after it may be executed next: a jump may have its condition among its operands."""
    conditional = re.search(r"\bU?P\d", instruction.operands) is not None or ".DIV" in instruction.opcode
    return instruction.kind not in ENDS or instruction.guarded or (instruction.kind == "BRA" and conditional)


def disassemble(cubin: bytes) -> str:
    """The SASS of a cubin, by the disassembler that ships with Triton."""
    return _tool("cuobjdump", cubin, "-sass")


def resources_of(cubin: bytes) -> dict[str, int]:
    """Registers, stack and local memory, as the assembler recorded them."""
    report = _tool("cuobjdump", cubin, "-res-usage")
    return {name: int(re.search(rf"{name}:(\d+)", report)[1]) for name in ("REG", "STACK", "LOCAL")}  # type: ignore[index]


def _tool(name: str, cubin: bytes, *options: str) -> str:
    import triton

    path = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / name
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([str(path), *options, file.name], capture_output=True, text=True, check=True).stdout
