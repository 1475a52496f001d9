"""Packed sequences: each is a problem of its own, with its own lengths, alignment and masks; none sees another.

Layout of a batch of 1: q ``(1, H, total, D)``. ``cu_seqlens_q`` and ``cu_seqlens_k`` hold where each sequence begins, from
0, and the total at the end, as the variable-length functions of the published kernels' family take them. The paper does
not speak of packing; that a packed call equals the calls it packs is what the word means. ``alibi_slopes`` is (H,), or one
row for each sequence.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from reference.rounding import FLOAT32, FLOAT64, format_of, gamma
from reference.sigmoid_attention.attention import Gradients, backward, forward
from reference.sigmoid_attention.bounds import backward_bounds, forward_bound

Array = npt.NDArray[np.float64]
Edges = Sequence[int]


def packed_forward(
    q: Array, k: Array, v: Array, *, cu_seqlens_q: Edges, cu_seqlens_k: Edges | None = None, **options: Any
) -> Array:
    """`forward` of each sequence, laid end to end; shape (1, H, total of the queries, Dv). ValueError for bad edges."""
    pieces = _pieces(q, k, cu_seqlens_q, cu_seqlens_k, options)
    return np.concatenate([forward(q[p.q], k[p.k], v[p.k], **p.options) for p in pieces], axis=2)


def packed_backward(
    q: Array, k: Array, v: Array, grad: Array, *, cu_seqlens_q: Edges, cu_seqlens_k: Edges | None = None, **options: Any
) -> Gradients:
    """`backward` of each sequence: q, k and v laid end to end, the bias and shared slopes added up."""
    pieces = _pieces(q, k, cu_seqlens_q, cu_seqlens_k, options)
    found = [backward(q[p.q], k[p.k], v[p.k], grad[p.q], **p.options) for p in pieces]
    return _join(found, options.get("alibi_slopes"))


def packed_forward_bound(
    q: Array, k: Array, v: Array, *, cu_seqlens_q: Edges, cu_seqlens_k: Edges | None = None, **options: Any
) -> Array:
    """`forward_bound` of each sequence; packing changes no rounding."""
    pieces = _pieces(q, k, cu_seqlens_q, cu_seqlens_k, options)
    return np.concatenate([forward_bound(q[p.q], k[p.k], v[p.k], **p.options) for p in pieces], axis=2)


def packed_backward_bounds(
    q: Array, k: Array, v: Array, grad: Array, *, cu_seqlens_q: Edges, cu_seqlens_k: Edges | None = None, **options: Any
) -> Gradients:
    """`backward_bounds` of each sequence; the sums over sequences add one rounding for each of them."""
    pieces = _pieces(q, k, cu_seqlens_q, cu_seqlens_k, options)
    bounds = [backward_bounds(q[p.q], k[p.k], v[p.k], grad[p.q], **p.options) for p in pieces]
    plain = ("dtype", "numerical_class")
    values = [
        backward(q[p.q], k[p.k], v[p.k], grad[p.q], **{n: x for n, x in p.options.items() if n not in plain}) for p in pieces
    ]
    wide = format_of(options["dtype"]).precision > FLOAT32.precision
    grown = gamma(len(pieces), 2 * (FLOAT64 if wide else FLOAT32).unit_roundoff)
    widened = [
        replace(
            bound,
            bias=bound.bias + grown * (abs(value.bias) + bound.bias),
            alibi_slopes=None
            if bound.alibi_slopes is None or value.alibi_slopes is None
            else bound.alibi_slopes + grown * (np.abs(value.alibi_slopes) + bound.alibi_slopes),
        )
        for bound, value in zip(bounds, values, strict=True)
    ]
    return _join(widened, options.get("alibi_slopes"))


@dataclass(frozen=True)
class _Piece:
    q: tuple[slice, slice, slice]
    k: tuple[slice, slice, slice]
    options: dict[str, Any]


def _pieces(q: Array, k: Array, cu_q: Edges, cu_k: Edges | None, options: dict[str, Any]) -> list[_Piece]:
    queries, keys = list(_edges(cu_q, q)), list(_edges(cu_q if cu_k is None else cu_k, k))
    if len(queries) != len(keys):
        raise ValueError(f"{len(queries)} sequences of queries and {len(keys)} of keys: expected as many")
    slopes = options.get("alibi_slopes")
    per_row = slopes is not None and np.ndim(slopes) == 2
    whole = slice(None)
    return [
        _Piece(
            (whole, whole, mine),
            (whole, whole, theirs),
            {**options, "alibi_slopes": slopes[row : row + 1]} if per_row and slopes is not None else options,
        )
        for row, (mine, theirs) in enumerate(zip(queries, keys, strict=True))
    ]


def _edges(edges: Edges, x: Array) -> Iterator[slice]:
    if x.shape[0] != 1 or not len(edges) or edges[0] != 0 or edges[-1] != x.shape[2] or np.any(np.diff(edges) < 0):
        raise ValueError(f"edges {list(edges)} for shape {x.shape}: expected a batch of 1, and edges from 0 up to the length")
    for start, stop in itertools.pairwise(edges):
        yield slice(int(start), int(stop))


def _join(parts: list[Gradients], slopes: npt.ArrayLike | None) -> Gradients:
    q, k, v = (np.concatenate([getattr(part, name) for part in parts], axis=2) for name in ("q", "k", "v"))
    each = [part.alibi_slopes for part in parts if part.alibi_slopes is not None]
    total = None
    if slopes is not None:
        total = np.concatenate(each) if np.ndim(slopes) == 2 else np.sum(each, axis=0)
    return Gradients(q, k, v, float(sum(part.bias for part in parts)), total)
