"""What one multiprocessor of each architecture holds: the CUDA C++ Programming Guide's table of compute capabilities."""

from __future__ import annotations

from dataclasses import dataclass

from gaugeblock.installation import CannotRun

REGISTERS = 65536
"""Registers of 32 bits of a multiprocessor; the same for all of these architectures."""


@dataclass(frozen=True)
class Architecture:
    """What a compiler is told, and the limits of one multiprocessor."""

    name: str
    capability: int
    """The compute capability times ten."""
    warps: int
    """Warps at a time."""
    blocks: int
    """Blocks at a time."""
    shared: int
    """KiB of shared memory."""
    cards: str
    """Some that have it, in words."""

    @property
    def most_shared(self) -> int:
        """Bytes of shared memory that one block may have: 1 KiB less than all, which the system keeps for each block."""
        return (self.shared - 1) * 1024

    @property
    def counts_reserved(self) -> bool:
        """Whether a cubin's figure of shared memory has the system's 1 KiB in it."""
        return self.capability >= 90


ARCHITECTURES = {
    each.name: each
    for each in (
        Architecture("sm_80", 80, 64, 32, 164, "A100"),
        Architecture("sm_86", 86, 48, 16, 100, "RTX 30, A40"),
        Architecture("sm_89", 89, 48, 24, 100, "RTX 40, L40"),
        Architecture("sm_90a", 90, 64, 32, 228, "H100, H200"),
        Architecture("sm_100", 100, 64, 32, 228, "B200"),
        Architecture("sm_120", 120, 48, 24, 100, "RTX 50"),
    )
}
HOPPER = ARCHITECTURES["sm_90a"]


def architecture(name: str) -> Architecture:
    """The architecture of that name. CannotRun where it is none that is known."""
    if name not in ARCHITECTURES:
        known = ", ".join(f"{each.name} ({each.cards})" for each in ARCHITECTURES.values())
        raise CannotRun(f"found --arch {name}, expected one of {known}")
    return ARCHITECTURES[name]
