"""Tensor maps, and the copies of boxes of a tensor that they describe (cp.async.bulk.tensor)."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from conformance.ptx.memory import Refused
from conformance.ptx.numbers import Array

BYTES = 128
"""Of a tensor map, as a parameter of a kernel."""
_FORM = struct.Struct("<QIIII5Q5Q5I")
PIECE = 16
"""Bytes that are copied together."""


@dataclass(frozen=True)
class TensorMap:
    """What a map says; axes from the innermost one. The layout of its bytes is our own: NVIDIA's is not documented."""

    base: int
    size: int
    """Bytes of an element."""
    swizzle: int
    """0 none, 1, 2, 3: patterns of 32, 64 and 128 bytes."""
    filled_with_nan: bool
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    """In bytes."""
    box: tuple[int, ...]

    def encoded(self) -> bytes:
        """The parameter that stands for it."""
        rest = (0,) * (5 - len(self.shape))
        fields = (*self.shape, *rest, *self.strides, *rest, *self.box, *rest)
        packed = _FORM.pack(self.base, self.size, self.swizzle, int(self.filled_with_nan), len(self.shape), *fields)
        return packed.ljust(BYTES, b"\0")

    @classmethod
    def decoded(cls, held: bytes) -> TensorMap:
        """The inverse of `encoded`."""
        base, size, swizzle, nan, rank, *fields = _FORM.unpack(held[: _FORM.size])
        shape, strides, box = (tuple(fields[n : n + rank]) for n in (0, 5, 10))
        return cls(base, size, swizzle, bool(nan), shape, strides, box)

    def pieces(self, first: int, corner: Sequence[int]) -> tuple[Array, Array, Array]:
        """Of the box at a corner, which lies at an address of shared memory from ``first`` on, in pieces of 16 bytes.

        Where each lies there, where in global memory, and how many of its bytes are inside of the tensor.
        """
        row = self.box[0] * self.size
        if row % PIECE or first % 128:
            raise Refused(0, f"a box has rows of {row} bytes at shared address {first}, expected multiples of 16 and 128")
        counts = (row // PIECE, *self.box[1:])
        index = [each.reshape(-1) for each in np.indices(counts[::-1])][::-1]
        place = np.arange(index[0].size, dtype=np.int64) * PIECE + first
        place ^= ((place >> 7) & ((1 << self.swizzle) - 1)) << 4
        inner = index[0] * PIECE + corner[0] * self.size
        taken = np.clip(self.shape[0] * self.size - inner, 0, PIECE) * (inner >= 0)
        address = self.base + inner
        for at, start, length, stride in zip(index[1:], corner[1:], self.shape[1:], self.strides[1:], strict=True):
            coordinate = at + start
            taken = taken * ((coordinate >= 0) & (coordinate < length))
            address = address + coordinate * stride
        return place, np.asarray(address), np.asarray(taken)
