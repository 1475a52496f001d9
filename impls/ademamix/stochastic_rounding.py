"""Rounding to one of the two neighbours at random, with the mean of what was rounded: small updates are not lost for ever.

The random bits are a hash of the element's index and a key, so that a run can be repeated, and every backend draws the same.
"""

from __future__ import annotations

import torch

from impls.ademamix.scalars import GOLDEN

_MASK = 0xFFFFFFFF


def _mixed(x: torch.Tensor) -> torch.Tensor:
    """`mixed` of csrc/ademamix_step.h, on 32-bit words held in int64."""
    x = x ^ (x >> 16)
    x = (x * 0x85EBCA6B) & _MASK
    x = x ^ (x >> 13)
    x = (x * 0xC2B2AE35) & _MASK
    return x ^ (x >> 16)


def draw(key: torch.Tensor, count: int, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """Two words of random bits for each of ``count`` elements; ``key``: two words, int64."""
    index = torch.arange(count, dtype=torch.int64, device=device)
    high = (key[1] + (index >> 32) * GOLDEN) & _MASK
    first = _mixed((_mixed((index & _MASK) ^ key[0]) + high) & _MASK)
    return first, _mixed((first + GOLDEN) & _MASK)


def rounded(x: torch.Tensor, dtype: torch.dtype, random: torch.Tensor) -> torch.Tensor:
    """float32 ``x`` in ``dtype`` (bfloat16 or float16), by the low bits of ``random`` (words in int64)."""
    bits = x.view(torch.int32).to(torch.int64) & _MASK
    magnitude, negative = bits & 0x7FFFFFFF, bits >> 31
    if dtype == torch.bfloat16:
        finite = ((magnitude + (random & 0xFFFF)) >> 16) | (negative << 15)
        word = torch.where(magnitude >= 0x7F800000, 0, finite)
    else:
        normal = (magnitude + (random & 0x1FFF) - 0x38000000) >> 13
        below = (x.abs() * 2.0**24 + (random >> 8).to(torch.float32) * 2.0**-24).clamp(max=2.0**20).to(torch.int64)
        finite = torch.where(magnitude < 0x38800000, below, normal).clamp(max=0x7C00)
        word = finite | (negative << 15)
    result = torch.where(word >= 0x8000, word - 0x10000, word).to(torch.int16).view(dtype)
    return torch.where(x.isfinite(), result, x.to(dtype))
