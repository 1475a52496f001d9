"""What one compiled kernel holds, how many of its blocks a multiprocessor runs at a time, and what its waits permit."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from gaugeblock.inspection.architecture import HOPPER, REGISTERS, Architecture
from gaugeblock.inspection.machine_code import INSTRUCTION_BYTES, Instruction, KernelCode, loops_with

_RESERVED, _GRANULE = 1024, 128
_QUARTERS = 4
"""The parts of a multiprocessor; each has its own registers, given to a warp in portions of 256."""

WAITS = ("BAR.SYNC", "SYNCS.PHASECHK", "DEPBAR", "WARPGROUP.DEPBAR", "WARPSYNC", "MEMBAR", "NANOSLEEP")
"""How the opcodes begin that wait for other threads, for copies or for matrix units."""

PRODUCTS = ("HGMMA", "HMMA", "IMMA", "IGMMA", "QGMMA", "QMMA", "OMMA", "DMMA", "UTCHMMA", "UTCIMMA", "UTCQMMA", "UTCOMMA")


class Occupancy(NamedTuple):
    """Blocks that one multiprocessor runs at a time, and what allows no more of them."""

    blocks: int
    limit: str


class Permission(NamedTuple):
    """Waits of one kind that let the same number of groups run on: of matrix products, or of copies."""

    waits_for: str
    groups: int
    in_loops: int
    """How many of these waits stand in a main loop."""
    elsewhere: int


@dataclass(frozen=True)
class InspectedKernel:
    """One kernel as it would be launched; ``variant`` says how, in words."""

    name: str
    variant: str
    code: KernelCode
    threads: int
    """Of a block."""
    shared: int
    """Bytes of shared memory of a block."""
    architecture: Architecture = HOPPER

    @cached_property
    def blocks_by(self) -> dict[str, int]:
        """How many blocks each resource of a multiprocessor allows, by the rules of NVIDIA's occupancy calculator."""
        warps = -(-self.threads // 32)
        per_warp = -(-self.code.resources.registers * 32 // 256) * 256
        fitting = REGISTERS // _QUARTERS // max(per_warp, 256) * _QUARTERS
        shared = -(-(self.shared + _RESERVED) // _GRANULE) * _GRANULE
        return {
            "warps": self.architecture.warps // warps,
            "blocks": self.architecture.blocks,
            "registers": fitting // warps,
            "shared memory": self.architecture.shared * 1024 // shared if self.shared <= self.architecture.most_shared else 0,
        }

    @property
    def occupancy(self) -> Occupancy:
        """The least of them."""
        limit = min(self.blocks_by, key=lambda name: self.blocks_by[name])
        return Occupancy(self.blocks_by[limit], limit)

    @property
    def spills(self) -> int:
        """Loads and stores of local memory, where registers go that find no place."""
        return self.code.count("LDL", "STL")

    @property
    def waits(self) -> dict[str, int]:
        """How often each waiting instruction stands in the code."""
        found = Counter(word for i in self.code.instructions for word in WAITS if i.opcode.startswith(word))
        return dict(sorted(found.items()))

    @cached_property
    def main_loops(self) -> list[list[Instruction]]:
        """The bodies of the innermost loops with matrix products; without products, of all innermost loops.

        The jump to itself at a kernel's end, which is never executed, is none.
        """
        code = self.code.instructions
        bodies = (loops_with(code, PRODUCTS) or loops_with(code)) if code else []
        return [body for body in bodies if len(body) > 1]

    @cached_property
    def inside(self) -> frozenset[int]:
        """The addresses of their instructions, which are executed most."""
        return frozenset(i.address for body in self.main_loops for i in body)

    @property
    def waits_in_loops(self) -> int:
        """How many waits stand there."""
        return sum(i.opcode.startswith(WAITS) and i.address in self.inside for i in self.code.instructions)

    @property
    def permissions(self) -> list[Permission]:
        """How many groups of matrix products (wgmma) and of copies (cp.async and bulk) each kind of wait lets run on."""
        copies = self.code.count("LDGDEPBAR", "UTMACMDFLUSH") > 0
        waits = [(*wait, i.address in self.inside) for i in self.code.instructions for wait in permitted(i, copies=copies)]
        found = Counter(waits)
        kinds = sorted({(kind, groups) for kind, groups, _ in waits})
        return [Permission(kind, n, found[kind, n, True], found[kind, n, False]) for kind, n in kinds]

    @property
    def prologue(self) -> int:
        """Bytes of machine code ahead of the longest of these loops, which each block executes before it; 0 without a loop."""
        first = min((i.address for i in max(self.main_loops, key=len, default=[])), default=0)
        return sum(INSTRUCTION_BYTES for i in self.code.instructions if i.address < first)

    @property
    def is_sound(self) -> bool:
        """Whether nothing spills, and a block fits."""
        return self.is_dry and self.occupancy.blocks > 0

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "kernel": self.name,
            "variant": self.variant,
            "architecture": self.architecture.name,
            "registers": self.code.resources.registers,
            "spilled_bytes": self.code.resources.spilled,
            "spill_instructions": self.spills,
            "shared_bytes": self.shared,
            "threads": self.threads,
            "waits": self.waits,
            "waits_in_loops": self.waits_in_loops,
            "waits_permit": [each._asdict() for each in self.permissions],
            "prologue_bytes": self.prologue,
            "blocks_per_multiprocessor": self.occupancy.blocks,
            "limited_by": self.occupancy.limit,
            "blocks_by": self.blocks_by,
            "opcodes": self.code.opcodes,
        }

    def in_words(self) -> str:
        """A few lines of text."""
        number, limit = self.occupancy
        blocks = f"{number} block{'' if number == 1 else 's'}"
        warps = f"{number * -(-self.threads // 32)} of {self.architecture.warps} warps"
        spilled = f"{self.code.resources.spilled} bytes spilled, {self.spills} instructions for it"
        waits = ", ".join(f"{number} {kind}" for kind, number in self.waits.items())
        wide = {what: self.code.count(*kinds) for what, kinds in _UNITS.items()}
        used = ", ".join(f"{number} {what}" for what, number in wide.items() if number)
        rows = [
            ("registers", f"{self.code.resources.registers} a thread, {'nothing spilled' if self.is_dry else spilled}"),
            ("shared memory", f"{self.shared} bytes a block"),
            ("waits", f"{waits}; {self.waits_in_loops} of them in main loops" if waits else "none"),
            *(("", line) for line in self._permissions_in_words()),
            ("instructions", f"{len(self.code.instructions)}{f': {used}' if used else ''}"),
            ("prologue", f"{self.prologue} bytes of code ahead of the main loop" if self.main_loops else "all of it: no loop"),
            ("occupancy", f"{blocks} of {self.threads} threads, {warps}, limited by {limit}"),
            ("", ", ".join(f"{number} by {name}" for name, number in self.blocks_by.items() if name != "blocks")),
        ]
        title = f"{self.name} on {self.architecture.name}{f' ({self.variant})' if self.variant else ''}"
        return "\n".join([title, *(f"  {name:<15}{text}" for name, text in rows)])

    def _permissions_in_words(self) -> Iterator[str]:
        for waits_for, groups, in_loops, elsewhere in self.permissions:
            let = f"{groups or 'no'} group{'' if groups == 1 else 's'} of {waits_for} run on"
            number = in_loops + elsewhere
            yield f"{number} let{'s' if number == 1 else ''} {let}, {in_loops or 'none'} of them in main loops"

    @property
    def is_dry(self) -> bool:
        """Whether nothing spills."""
        return not (self.spills or self.code.resources.spilled)


def permitted(instruction: Instruction, *, copies: bool = True) -> Iterator[tuple[str, int]]:
    """What an instruction waits for and how many groups of it it lets run on; nothing where it is no such wait.

    ``copies`` says whether the kernel makes groups of copies: without them, the same instruction waits for something else.
    """
    last = re.search(r"0x([0-9a-f]+)\s*$", instruction.operands)
    if last is None or instruction.opcode.partition(".")[0] not in ("WARPGROUP", "DEPBAR"):
        return
    if instruction.opcode.startswith("WARPGROUP.DEPBAR"):
        yield "matrix products", int(last[1], 16)
    elif copies and instruction.opcode.startswith("DEPBAR") and "SB0" in instruction.operands:
        yield "copies", int(last[1], 16)


_UNITS = {
    "matrix products": PRODUCTS,
    "bulk copies": ("UTMALDG", "UTMASTG", "UTMAREDG", "UBLKCP", "UBLKRED"),
    "loads": ("LDG", "LDGSTS"),
    "stores": ("STG",),
    "special functions": ("MUFU",),
}
