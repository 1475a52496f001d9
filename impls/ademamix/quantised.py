"""Moments in 8 bits: blocks of 256 share a scale, and each element is a number of the dynamic code book (arXiv:2110.02861)."""

from __future__ import annotations

import functools

import torch

BLOCK = 256
"""Elements that share a scale."""
SMALLEST = 4096
"""Tensors with fewer elements keep float32 moments: they need little memory, and are often the delicate ones."""
_SMALLEST_NORMAL = 2.0**-126


@functools.lru_cache
def code_book(signed: bool) -> torch.Tensor:
    """The 256 values in increasing order, float64: 0, 1, and the centres of equal cells in each decade from 10**-7 to 1."""
    values = [0.0, 1.0]
    for decade in range(7):
        cells = 2 ** (decade + (0 if signed else 1))
        centres = [10.0 ** (decade - 6) * (0.1 + 0.9 * (k + 0.5) / cells) for k in range(cells)]
        values += centres
        values += [-c for c in centres] if signed else []
    return torch.tensor(sorted(values), dtype=torch.float64)


@functools.lru_cache
def _tables(signed: bool, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    book = code_book(signed)
    return book.to(device, torch.float32), ((book[1:] + book[:-1]) / 2).to(device, torch.float32)


def blocks_of(count: int) -> int:
    """Number of scales of a tensor."""
    return -(-count // BLOCK)


def decode(codes: torch.Tensor, scale: torch.Tensor, signed: bool) -> torch.Tensor:
    """float32 values, flat, in the order of the memory of ``codes``."""
    values = _tables(signed, codes.device)[0][_in_memory_order(codes).to(torch.int64)]
    return values * scale.repeat_interleave(BLOCK)[: values.numel()]


def encode(values: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor, signed: bool) -> None:
    """Write the nearest codes of flat float32 ``values``, and the largest magnitude of each block as its scale."""
    count = values.numel()
    padded = torch.nn.functional.pad(values, (0, -count % BLOCK)).view(-1, BLOCK)
    largest = padded.abs().amax(dim=1)
    usable = largest >= _SMALLEST_NORMAL
    scale.copy_(torch.where(usable, largest, 0.0))
    shares = padded / torch.where(usable, largest, torch.inf)[:, None]
    index = torch.bucketize(shares, _tables(signed, values.device)[1], right=True)
    _in_memory_order(codes).copy_(index.view(-1)[:count])


def _in_memory_order(codes: torch.Tensor) -> torch.Tensor:
    return torch.as_strided(codes, (codes.numel(),), (1,))
