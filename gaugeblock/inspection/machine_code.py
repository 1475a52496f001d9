"""Read compiled kernels with NVIDIA's own tools, which come with Triton and with the CUDA toolkit."""

from __future__ import annotations

import itertools
import re
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from gaugeblock.installation import CannotRun
from impls.nvidia_tools import find_tool

INSTRUCTION_BYTES = 16
"""Of each instruction, on every architecture that is known here."""


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
class Resources:
    """What one thread of a kernel holds, as the assembler recorded it: bytes, but for the registers."""

    registers: int
    stack: int
    local: int
    shared: int = 0
    """Of a block, known when it was compiled; on sm_90 and later with the system's 1 KiB."""

    @property
    def spilled(self) -> int:
        """Bytes of local memory and stack."""
        return self.local + self.stack


@dataclass(frozen=True)
class KernelCode:
    """One kernel of a cubin."""

    name: str
    resources: Resources
    instructions: tuple[Instruction, ...]

    def count(self, *kinds: str) -> int:
        """How many instructions are of these kinds, whatever their suffixes."""
        return sum(instruction.kind in kinds for instruction in self.instructions)

    @property
    def opcodes(self) -> dict[str, int]:
        """How often each opcode occurs, with its suffixes."""
        return dict(Counter(instruction.opcode for instruction in self.instructions))


def read(cubin: bytes) -> list[KernelCode]:
    """The kernels of a cubin, in the order of their names. CannotRun where the tools are missing."""
    used = _resources(_tool("cuobjdump", cubin, "-res-usage"))
    listings = re.split(r"^\s*Function : (\S+)$", _tool("cuobjdump", cubin, "-sass"), flags=re.MULTILINE)[1:]
    found = {name: tuple(parse(listing)) for name, listing in zip(listings[::2], listings[1::2], strict=True)}
    return [KernelCode(name, used[name], found[name]) for name in sorted(used) if name in found]


def _resources(report: str) -> dict[str, Resources]:
    pattern = r"Function (\S+?):?\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)"
    return {m[1]: Resources(int(m[2]), int(m[3]), int(m[5]), int(m[4])) for m in re.finditer(pattern, report)}


def parse(listing: str) -> Iterator[Instruction]:
    """The instructions of a listing with addresses."""
    for match in re.finditer(r"/\*([0-9a-f]{4,})\*/\s+(@!?U?P\w+\s+)?([A-Z][A-Za-z0-9_.]*)([^;]*);", listing):
        yield Instruction(int(match[1], 16), match[3], match[4], bool(match[2]))


def loops_with(instructions: Sequence[Instruction], opcodes: tuple[str, ...] = ("",)) -> list[list[Instruction]]:
    """The bodies of the innermost loops among those in which an opcode begins with one of these; without them, of all."""
    blocks = _blocks(instructions)
    bodies = {loop: [i for start in sorted(loop) for i in blocks[start]] for loop in _loops(blocks)}
    wanted = [loop for loop, body in bodies.items() if any(i.opcode.startswith(opcodes) for i in body)]
    return [bodies[loop] for loop in wanted if not any(other < loop for other in wanted)]


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


def tool(name: str) -> str:
    """The path of one of NVIDIA's programs. CannotRun where there is none."""
    if (found := find_tool(name)) is None:
        raise CannotRun(f"found no {name}, expected it beside Triton or in a CUDA toolkit; pip install triton brings it")
    return found


def _tool(name: str, cubin: bytes, *options: str) -> str:
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        return subprocess.run([tool(name), *options, file.name], capture_output=True, text=True, check=True).stdout
