"""What one compiled kernel holds and how many of its blocks a multiprocessor of sm_90 runs at a time."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

from gaugeblock.inspection.machine_code import KernelCode, loops_with

REGISTERS, WARPS, BLOCKS, SHARED = 65536, 64, 32, 228 * 1024
"""Of one multiprocessor of sm_90: registers of 32 bits, warps and blocks at a time, bytes of shared memory."""
MOST_SHARED = 227 * 1024
"""Bytes of shared memory that one block may have."""
_RESERVED, _GRANULE = 1024, 128
_QUARTERS = 4
"""The parts of a multiprocessor; each has its own registers, given to a warp in portions of 256."""

WAITS = ("BAR.SYNC", "SYNCS.PHASECHK", "DEPBAR", "WARPGROUP.DEPBAR", "WARPSYNC", "MEMBAR", "NANOSLEEP")
"""How the opcodes begin that wait for other threads, for copies or for matrix units."""


class Occupancy(NamedTuple):
    """Blocks that one multiprocessor runs at a time, and what allows no more of them."""

    blocks: int
    limit: str


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

    @cached_property
    def occupancy(self) -> Occupancy:
        """By the rules of NVIDIA's occupancy calculator."""
        warps = -(-self.threads // 32)
        per_warp = -(-self.code.resources.registers * 32 // 256) * 256
        fitting = REGISTERS // _QUARTERS // max(per_warp, 256) * _QUARTERS
        shared = -(-(self.shared + _RESERVED) // _GRANULE) * _GRANULE
        limits = {
            "warps": WARPS // warps,
            "blocks": BLOCKS,
            "registers": fitting // warps,
            "shared memory": SHARED // shared if self.shared <= MOST_SHARED else 0,
        }
        limit = min(limits, key=lambda name: limits[name])
        return Occupancy(limits[limit], limit)

    @property
    def spills(self) -> int:
        """Loads and stores of local memory, where registers go that find no place."""
        return self.code.count("LDL", "STL")

    @property
    def waits(self) -> dict[str, int]:
        """How often each waiting instruction stands in the code."""
        found = Counter(word for i in self.code.instructions for word in WAITS if i.opcode.startswith(word))
        return dict(sorted(found.items()))

    @property
    def waits_in_loops(self) -> int:
        """How many of them stand in an innermost loop: these are executed most."""
        bodies = loops_with(self.code.instructions) if self.code.instructions else []
        return sum(i.opcode.startswith(WAITS) for body in bodies for i in body)

    @property
    def is_sound(self) -> bool:
        """Whether nothing spills, and a block fits."""
        return self.is_dry and self.occupancy.blocks > 0

    def as_json(self) -> dict[str, Any]:
        """All of it as plain data."""
        return {
            "kernel": self.name,
            "variant": self.variant,
            "registers": self.code.resources.registers,
            "spilled_bytes": self.code.resources.spilled,
            "spill_instructions": self.spills,
            "shared_bytes": self.shared,
            "threads": self.threads,
            "waits": self.waits,
            "waits_in_loops": self.waits_in_loops,
            "blocks_per_multiprocessor": self.occupancy.blocks,
            "limited_by": self.occupancy.limit,
            "opcodes": self.code.opcodes,
        }

    def in_words(self) -> str:
        """A few lines of text."""
        blocks, limit = self.occupancy
        spilled = f"{self.code.resources.spilled} bytes spilled, {self.spills} instructions for it"
        waits = ", ".join(f"{number} {kind}" for kind, number in self.waits.items())
        warps = blocks * -(-self.threads // 32)
        wide = {what: self.code.count(*kinds) for what, kinds in _UNITS.items()}
        used = ", ".join(f"{number} {what}" for what, number in wide.items() if number)
        rows = (
            ("registers", f"{self.code.resources.registers} a thread, {'nothing spilled' if self.is_dry else spilled}"),
            ("shared memory", f"{self.shared} bytes a block"),
            ("waits", f"{waits}; {self.waits_in_loops} of them in innermost loops" if waits else "none"),
            ("instructions", f"{len(self.code.instructions)}{f': {used}' if used else ''}"),
            ("occupancy", f"{blocks} blocks of {self.threads} threads, {warps} of {WARPS} warps, limited by {limit}"),
        )
        return "\n".join([f"{self.name}{f' ({self.variant})' if self.variant else ''}", *(f"  {n:<15}{t}" for n, t in rows)])

    @property
    def is_dry(self) -> bool:
        """Whether nothing spills."""
        return not (self.spills or self.code.resources.spilled)


_UNITS = {
    "matrix products": ("HGMMA", "HMMA", "IMMA", "IGMMA", "QGMMA", "DMMA"),
    "bulk copies": ("UTMALDG", "UTMASTG", "UBLKCP"),
    "loads": ("LDG", "LDGSTS"),
    "stores": ("STG",),
    "special functions": ("MUFU",),
}
