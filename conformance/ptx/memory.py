"""Memory with checks: bounds, alignment, what was stored how often, what was never stored, and races.

A race is found by vector clocks, in whatever order the warps happened to run: an access must come after the stores (and a
store after the loads) of other warps by some chain of barriers. Each store keeps its warp and that warp's clock.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from conformance.ptx.faults import KernelFault
from conformance.ptx.numbers import UNSIGNED, Array

NOBODY, IN_FLIGHT = -1, -2
"""In place of a warp: never stored; being copied, by what has not been waited for."""
UNFINISHED = 2**31 - 1
"""The clock of a read that has not been waited for."""
SHARED_BASE = 1024
"""The address at which shared memory begins, so that 0 is no address."""
PARAMETER_BASE, PARAMETER_ROOM = 2**62, 4096
"""The address of the first parameter, and how far one is from the next: nothing is read there but tensor maps."""

Where = Callable[[int], str]
"""Says which lane the access with this number is of."""


class Refused(Exception):
    """An access that must not be: its number among those of the instruction, and what is wrong."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(message)
        self.number = number


@dataclass(frozen=True)
class Allocation:
    """A piece of the host's memory that kernels may use."""

    base: int
    size: int
    name: str

    @property
    def end(self) -> int:
        return self.base + self.size


class _Everything:
    """The process's memory from one address to another as an array; only checked places of it are ever touched."""

    def __init__(self, first: int, size: int) -> None:
        self.__array_interface__ = {"data": (first, False), "shape": (size,), "typestr": "|u1", "version": 3}


@dataclass
class Stores:
    """What a launch stored, by allocation."""

    counts: dict[str, Array] = field(default_factory=dict)
    """How often each unit of an allocation was stored."""
    unit: int = 1
    """Bytes of a unit."""


class GlobalMemory:
    """Allocations of the host. ``find`` names the one at an address that was not told of, or gives None."""

    def __init__(self, unit: int, find: Callable[[int], Allocation | None] = lambda address: None) -> None:
        self.unit, self._find = unit, find
        self.allocations: list[Allocation] = []
        self._bases: list[int] = []
        self._shadow: list[int] = []
        self._size = 0
        self.writer = np.zeros(0, np.int32)
        self.when = np.zeros(0, np.int32)
        self.stores = np.zeros(0, np.uint8)
        self._low = self._high = 0
        self._views: dict[int, Array] = {}

    def add(self, new: Allocation) -> None:
        """Allow a kernel to use a piece of memory; what lies in one that is there already is left out."""
        if not new.size or self._at(new.base, new.base + new.size) is not None:
            return
        place = bisect.bisect(self._bases, new.base)
        if place < len(self.allocations) and self.allocations[place].base < new.end:
            self._replace(place, new)
            return
        units = new.end // self.unit - new.base // self.unit + 1
        self.allocations.insert(place, new)
        self._bases.insert(place, new.base)
        self._shadow.insert(place, self._size)
        self._size += units
        self.writer = np.concatenate([self.writer, np.full(units, NOBODY, np.int32)])
        self.when = np.concatenate([self.when, np.zeros(units, np.int32)])
        self.stores = np.concatenate([self.stores, np.zeros(units, np.uint8)])
        low, high = self._bases[0] & ~4095, max(a.end for a in self.allocations)
        if (low, high) != (self._low, self._high):
            self._low, self._high, self._views = low, high, {}

    def _replace(self, place: int, new: Allocation) -> None:
        """A part was told of before the whole: its stores are forgotten, which is only right before a launch."""
        for kept in (self.allocations, self._bases, self._shadow):
            del kept[place]
        self.add(new)

    def _at(self, first: int, end: int) -> int | None:
        place = bisect.bisect(self._bases, first) - 1
        return place if place >= 0 and end <= self.allocations[place].end else None

    def units(self, addresses: Array, width: int) -> Array:
        """The first unit of each access. Refused where one is misaligned or outside of every allocation."""
        low, high = int(addresses.min()), int(addresses.max()) + width
        crooked = (addresses & np.uint64(width - 1)) != 0
        if crooked.any():
            k = int(crooked.argmax())
            raise Refused(k, f"address {int(addresses[k]):#x} is no multiple of {width}")
        place = self._at(low, high)
        if place is not None:
            return self._units_in(place, addresses)
        found = np.empty(addresses.shape, np.int64)
        left = np.ones(addresses.shape, bool)
        while left.any():
            k = int(left.argmax())
            place = self._place(k, int(addresses[k]), width)
            held = self.allocations[place]
            inside = left & (addresses >= np.uint64(held.base)) & (addresses + np.uint64(width) <= np.uint64(held.end))
            found[inside] = self._units_in(place, addresses[inside])
            left &= ~inside
        return found

    def require(self, addresses: Array, chosen: Array, width: int, align: int) -> None:
        """Refused where a chosen access of so many bytes is misaligned or outside of every allocation."""
        places = np.flatnonzero(chosen)
        crooked = (addresses[places] & np.uint64(align - 1)) != 0
        if crooked.any():
            k = int(places[crooked.argmax()])
            raise Refused(k, f"address {int(addresses[k]):#x} is no multiple of {align}")
        low, high = int(addresses[places].min()), int(addresses[places].max()) + width
        if self._at(low, high) is None:
            for place in places:
                self._place(int(place), int(addresses[place]), width)

    def _place(self, number: int, address: int, width: int) -> int:
        place = self._at(address, address + width)
        if place is None and (more := self._find(address)) is not None:
            self.add(more)
            place = self._at(address, address + width)
        if place is None:
            raise Refused(number, f"{width} bytes at {address:#x}: {self._nearest(address)}")
        return place

    def _units_in(self, place: int, addresses: Array) -> Array:
        first = self._shadow[place] - self.allocations[place].base // self.unit
        return (addresses // np.uint64(self.unit)).astype(np.int64) + first

    def _nearest(self, address: int) -> str:
        if not self.allocations:
            return "the kernel was given no memory"
        near = min(self.allocations, key=lambda a: max(a.base - address, address - a.end, 0))
        off = address - near.base
        return f"{off} bytes from the beginning of {near.name}, which has {near.size} bytes"

    def words(self, width: int) -> tuple[Array, int]:
        """All memory as words of so many bytes, and the address of the first."""
        if width not in self._views:
            size = (self._high - self._low) // width + 1
            everything: Any = _Everything(self._low, size * width)
            self._views[width] = np.asarray(everything).view(UNSIGNED[width])
        return self._views[width], self._low

    def stored(self) -> Stores:
        """How often each unit was stored."""
        found = Stores(unit=self.unit)
        for allocation, first in zip(self.allocations, self._shadow, strict=True):
            units = (allocation.size + self.unit - 1) // self.unit
            found.counts[allocation.name] = self.stores[first : first + units]
        return found


class SharedMemory:
    """The shared memory of some blocks, and who stored and loaded which unit of it when."""

    def __init__(self, blocks: int, size: int, warps: int, unit: int) -> None:
        self.size, self.unit = size, unit
        self.stride = -(-(size + 16) // 128) * 128
        self.bytes = np.full(blocks * self.stride, 0xA5, np.uint8)
        units = blocks * self.stride // unit
        self.writer = np.full(units, NOBODY, np.int16)
        self.when = np.zeros(units, np.int32)
        self.reads = np.zeros((units, warps), np.int32)
        self.unfenced = np.zeros(units, bool)
        """Whether a thread stored it, and no fence has shown it since to what runs in the background."""

    def offsets(self, addresses: Array, blocks: Array, width: int) -> Array:
        """Where in `bytes` each access begins. Refused where one is misaligned or outside."""
        crooked = (addresses & np.uint64(width - 1)) != 0
        if crooked.any():
            k = int(crooked.argmax())
            raise Refused(k, f"shared address {int(addresses[k]):#x} is no multiple of {width}")
        within = addresses.astype(np.int64) - SHARED_BASE
        outside = (within < 0) | (within + width > self.size)
        if outside.any():
            k = int(outside.argmax())
            raise Refused(k, f"{width} bytes at {int(within[k])} of a shared memory that has {self.size} bytes")
        found: Array = within + blocks * self.stride
        return found

    def read(self, units: Array, warps: Array, clocks: Array, *, background: bool = False) -> None:
        """Note that warps read these units, (accesses, units). Refused where one was never stored, or in a race.

        ``clocks`` (accesses, columns) is what each warp knows of the others. ``background``: by the proxy for asynchronous
        work, to which a fence must have shown what threads stored.
        """
        writer = self.writer[units]
        if (writer < 0).any():
            k = int((writer < 0).any(1).argmax())
            flying = (writer[k] == IN_FLIGHT).any()
            raise Refused(k, "is still being copied to: the copy was not waited for" if flying else "was never stored")
        self._require_order(units, writer, clocks, "stored")
        if background and self.unfenced[units].any():
            k = int(self.unfenced[units].any(1).argmax())
            raise Refused(k, "was stored by a thread, and no fence.proxy.async lies between")
        np.maximum.at(self.reads, (units, warps[:, None]), np.take_along_axis(clocks, warps[:, None], 1))

    def write(
        self, units: Array, warps: Array, clocks: Array, *, stood: Array | None = None, stands: Array | None = None
    ) -> None:
        """Note that warps stored these units. Refused in a race with a store or a load.

        Warps may store the same value at once: ``stood`` says whose value was there before, ``stands`` whose is there now.
        """
        writer = self.writer[units]
        if (writer == IN_FLIGHT).any():
            raise Refused(int((writer == IN_FLIGHT).any(1).argmax()), "is still being copied to")
        new = np.ones(len(units), bool) if stood is None else ~stood
        if new.any():
            places = np.flatnonzero(new)
            try:
                self._require_order(units[new], writer[new], clocks[new], "stored")
            except Refused as refused:
                raise Refused(int(places[refused.number]), str(refused)) from None
        self._require_unread(units, clocks)
        self.writer[units] = warps[:, None]
        crowded = self.writer[units] != warps[:, None]
        if stands is not None:
            crowded &= ~stands[:, None]
        if crowded.any():
            k, u = (int(i) for i in np.argwhere(crowded)[0])
            raise Refused(k, f"is also stored by warp {self.writer[units[k, u]]} with no barrier between: a race")
        self.when[units] = np.take_along_axis(clocks, warps[:, None], 1)
        self.unfenced[units] = True

    def _require_unread(self, units: Array, clocks: Array) -> None:
        late = self.reads[units] > clocks[:, None, : self.reads.shape[1]]
        if late.any():
            k, _, other = (int(i) for i in np.argwhere(late)[0])
            raise Refused(k, f"is loaded by warp {other} with no barrier between: a race")

    def fence(self, block: int, clocks: Array) -> None:
        """Show to background work what a warp knows to be stored, by what it knows of each warp of its block."""
        own = slice(block * self.stride // self.unit, (block + 1) * self.stride // self.unit)
        writer = self.writer[own]
        self.unfenced[own] &= (writer < 0) | (self.when[own] > clocks[np.maximum(writer, 0)])

    def require_order(self, units: Array, clocks: Array, what: str) -> None:
        """Refused where somebody stored these units of whom the reader does not know."""
        self._require_order(units, self.writer[units], clocks, what)

    def _require_order(self, units: Array, writer: Array, clocks: Array, what: str) -> None:
        known = np.take_along_axis(clocks, np.maximum(writer, 0).astype(np.int64), 1)
        late = (writer >= 0) & (self.when[units] > known)
        if late.any():
            k, u = (int(i) for i in np.argwhere(late)[0])
            raise Refused(k, f"was {what} by warp {writer[k, u]} with no barrier between: a race")


def fault(kernel: str, place: str, text: str, lane: str, message: str) -> KernelFault:
    """The error for something that a lane did."""
    return KernelFault(f"{kernel}, {place}, {text!r}, {lane}: {message}")
