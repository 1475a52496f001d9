"""Read the bit masks in which engines say which tokens may follow."""

from __future__ import annotations


def token_ids(mask: bytes, size: int) -> set[int]:
    """The numbers of the bits that are set among the first ``size`` of a little-endian mask."""
    bits = int.from_bytes(mask, "little")
    return {token for token in range(size) if bits >> token & 1}
