"""Moments in 8 bits: blocks of 256 share scales, and what is stored is what an update is made of (csrc/ademamix_step.h).

The root of the second moment, and the first moments' ratios to that root as it was stored: an update is such a ratio, and
about as large in every element, however differently gradients are scaled. A root is the cube of its code, a ratio the signed
square of its own, times the scale. Between two codes a threshold decides: at random, or one half to round to nearest.
"""

from __future__ import annotations

import torch

BLOCK = 256
"""Elements that share a scale."""
SMALLEST = 4096
"""Tensors with fewer elements keep float32 moments: they need little memory, and are often the delicate ones."""
SMALLEST_ROOT = 2.0**-63
"""By which ratios are formed where the root is smaller."""
ZERO = 127
"""The code of a ratio of 0; that of a root is 0."""
_ROOT_STEPS, _RATIO_STEPS = 255.0**3, 127.0**2
_SMALLEST_NORMAL = 2.0**-126


def blocks_of(count: int) -> int:
    """Number of scales of a tensor."""
    return -(-count // BLOCK)


def decode_root(codes: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """The root of the second moment: float32, flat, in the order of the memory of ``codes``."""
    return _cube(_in_memory_order(codes).float()) * _spread(scale, codes.numel())


def decode_ratio(codes: torch.Tensor, scale: torch.Tensor, root: torch.Tensor) -> torch.Tensor:
    """A first moment, beside the ``root`` that was decoded."""
    k = _in_memory_order(codes).float() - ZERO
    return k * k.abs() * _spread(scale, codes.numel()) * root.clamp(min=SMALLEST_ROOT)


def encode_root(
    nu: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor, threshold: torch.Tensor | float = 0.5
) -> torch.Tensor:
    """Write codes and scales of a flat second moment; returns the root as it was stored."""
    root = nu.sqrt()
    y = _by_scale(root, scale, _ROOT_STEPS)
    c = y.double().pow(1 / 3).float().floor()
    c = torch.where(_cube(c) > y, c - 1, c)
    c = torch.where(_cube(c + 1) <= y, c + 1, c)
    c = torch.where(y - _cube(c) > threshold * (3 * c * (c + 1) + 1), c + 1, c).clamp(max=255)
    c = torch.where((y > 0) & (c < 1), 1, c)  # many a first moment is divided by it
    _in_memory_order(codes).copy_(c)
    return decode_root(codes, scale)


def encode_ratio(
    m: torch.Tensor, root: torch.Tensor, codes: torch.Tensor, scale: torch.Tensor, threshold: torch.Tensor | float = 0.5
) -> None:
    """Write codes and scales of a flat first moment beside the ``root`` that `encode_root` stored."""
    x = _by_scale(m * (1 / root.clamp(min=SMALLEST_ROOT)), scale, _RATIO_STEPS)
    y = x.abs()
    k = y.sqrt().floor()
    k = torch.where(k * k > y, k - 1, k)
    k = torch.where(y - k * k > threshold * (2 * k + 1), k + 1, k).clamp(max=127)
    _in_memory_order(codes).copy_(ZERO + torch.where(x < 0, -k, k))


def thresholds(bits: torch.Tensor, more: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Of the root and of the slow EMA, from random words in int64. The fast EMA is rounded to nearest."""
    return ((bits >> 16).float() + 0.5) * 2.0**-16, ((more >> 9).float() + 0.5) * 2.0**-23


def _cube(c: torch.Tensor) -> torch.Tensor:
    return c * c * c


def _by_scale(values: torch.Tensor, scale: torch.Tensor, steps: float) -> torch.Tensor:
    """Set each block's scale by its largest magnitude, and divide by it; 0 where it would be flushed to zero."""
    count = values.numel()
    padded = torch.nn.functional.pad(values, (0, -count % BLOCK)).view(-1, BLOCK)
    found = padded.abs().amax(dim=1) * (1 / steps)
    scale.copy_(torch.where(found < _SMALLEST_NORMAL, 0.0, found))
    return values * _spread(torch.where(scale == 0, 0.0, 1 / scale), count)


def _spread(scale: torch.Tensor, count: int) -> torch.Tensor:
    return scale.repeat_interleave(BLOCK)[:count]


def _in_memory_order(codes: torch.Tensor) -> torch.Tensor:
    return torch.as_strided(codes, (codes.numel(),), (1,))
