"""Sequences of different lengths laid end to end: cut apart, attended to one by one, laid end to end again.

The layout is that of a batch of 1: q (1, H, total, D). ``cu_seqlens_q`` and ``cu_seqlens_k`` hold where each sequence
begins, and the total: one more number than there are sequences. No sequence sees another, and each is aligned by its own
two lengths.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any


def bounds_of(cu_seqlens: Any) -> list[tuple[int, int]]:
    """Where each sequence begins and ends."""
    edges = [int(edge) for edge in (cu_seqlens.tolist() if hasattr(cu_seqlens, "tolist") else cu_seqlens)]
    return list(itertools.pairwise(edges))


def sequences(cu_q: Any, cu_k: Any) -> Iterator[tuple[int, slice, slice]]:
    """Number, queries and keys of each sequence."""
    queries, keys = bounds_of(cu_q), bounds_of(cu_q if cu_k is None else cu_k)
    if len(queries) != len(keys):
        raise ValueError(f"{len(queries)} sequences of queries and {len(keys)} of keys: expected as many")
    for row, ((q0, q1), (k0, k1)) in enumerate(zip(queries, keys, strict=True)):
        yield row, slice(q0, q1), slice(k0, k1)


def one_by_one(
    attention: Callable[..., Any], q: Any, k: Any, v: Any, cu_q: Any, cu_k: Any, alibi_slopes: Any = None, **options: Any
) -> Iterator[Any]:
    """``attention`` on each sequence. Slopes may be one per head, or one per sequence and head."""
    for row, queries, keys in sequences(cu_q, cu_k):
        slopes = alibi_slopes[row : row + 1] if alibi_slopes is not None and alibi_slopes.ndim == 2 else alibi_slopes
        yield attention(q[:, :, queries], k[:, :, keys], v[:, :, keys], alibi_slopes=slopes, **options)
