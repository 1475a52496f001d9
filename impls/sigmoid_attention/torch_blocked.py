"""Sigmoid attention in plain torch, one tile of scores at a time, forward and backward: the path for a CPU.

A tile of scores stays in cache from the product that makes it to the product that uses it up, and tiles that no query sees
are left out. With nothing normalised over keys, a tile is finished when it is made: no running maximum, no row sum, and
backward neither the output nor a log-sum-exp. float32 inside (float64 for float64 input); weights are never rounded.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from impls.sigmoid_attention.operator import GradientTensors, operator
from impls.sigmoid_attention.options import AttentionOptions, taking_keywords
from impls.sigmoid_attention.validation import checked

QUERIES, KEYS = 512, 512
QUERIES_MASKED = 64, 256
"""Queries and keys in a tile, large enough for matrix products at their full rate. Where a mask makes the tiles on its edge
lost work, as many queries as a sixteenth of the keys in reach, within these limits: no more than Python's steps between tiles
ask for."""

MOST_SCORES = 2**20
"""Scores of the heads that are computed together: what keeps every core busy, at 4 MiB of float32."""


class _Tile(NamedTuple):
    rows: slice
    columns: slice
    hidden: Tensor | None
    """(rows, columns), True where the pair is masked; None where every pair is seen."""
    distance: Tensor | None
    """(rows, columns), where slopes ask for it."""


class _Scratch:
    """Memory for tiles, taken once: fresh pages for every tile would cost as much as the tile's arithmetic."""

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._memory = like.new_empty(0)

    def take(self, *shape: int) -> Tensor:
        """An uninitialised tensor of that shape; the one taken before it is given up."""
        size = math.prod(shape)
        if size > self._memory.numel():
            self._memory = self._like.new_empty(size)
        return self._memory[:size].view(shape)


class _Heads(NamedTuple):
    """Some key heads with the queries that read them, all in the working dtype."""

    q: Tensor
    """(R, group, Nq, D), scaled"""
    k: Tensor
    v: Tensor
    """(R, Nk, D) and (R, Nk, Dv)"""
    bias: Tensor
    """(1, 1, 1)"""
    slopes: Tensor | None
    """(R, group, 1, 1)"""
    length: int
    options: AttentionOptions

    def queries(self) -> Iterator[slice]:
        """Rows of tiles."""
        nq = self.q.shape[2]
        masked = min(self.options.left, self.options.right) < max(nq, self.k.shape[1])
        step = QUERIES
        if masked:
            fewest, most = QUERIES_MASKED
            step = min(max(fewest, min(self.options.left + self.options.right, self.k.shape[1]) // 16), most)
        step = max(16, step // self.q.shape[1])
        for start in range(0, nq, step):
            yield slice(start, min(start + step, nq))

    def tiles(self, rows: slice) -> Iterator[_Tile]:
        """The tiles of a row that any query sees."""
        shift = self.k.shape[1] - self.q.shape[2]
        first = max(0, rows.start + shift - self.options.left)
        last = min(self.length, rows.stop + shift + self.options.right)
        for start in range(first, last, KEYS):
            stop = min(start + KEYS, last)
            whole = start >= rows.stop - 1 + shift - self.options.left and stop - 1 <= rows.start + shift + self.options.right
            hidden = distance = None
            if not whole or self.slopes is not None:
                position = torch.arange(rows.start + shift, rows.stop + shift, device=self.q.device)[:, None]
                offset = torch.arange(start, stop, device=self.q.device) - position
                hidden = None if whole else self.options.hides(offset)
                distance = None if self.slopes is None else offset.abs().to(self.q.dtype)
            yield _Tile(rows, slice(start, stop), hidden, distance)


def forward(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """The output, (B, H, Nq, Dv), in q's dtype."""
    out = torch.empty((*q.shape[:3], v.shape[3]), dtype=q.dtype, device=q.device)
    for part, heads in _each(q, k, v, options):
        result = _within(out, part)
        scores, sums = _Scratch(heads.k), _Scratch(heads.k)
        for rows in heads.queries():
            queries = heads.q[:, :, rows].flatten(1, 2)
            total: Tensor | None = None
            for tile in heads.tiles(rows):
                keys, values = heads.k[:, tile.columns], heads.v[:, tile.columns]
                p = scores.take(*queries.shape[:2], keys.shape[1])
                torch.baddbmm(heads.bias, queries, keys.transpose(1, 2), out=p)
                _activate(p, heads, tile, transposed=False)
                if total is None:
                    total = sums.take(*p.shape[:2], values.shape[2])
                    torch.bmm(p, values, out=total)
                else:
                    total.baddbmm_(p, values)
            where = result[:, :, rows]
            where.copy_(torch.zeros((), dtype=q.dtype) if total is None else total.view(where.shape))
    return out


def backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, wants_bias: bool, wants_slopes: bool
) -> GradientTensors:
    """Gradients of q, k, v, bias and slopes. Tiles are transposed, (keys, queries): two of the three products that use one
    then read it along its rows."""
    wide = _wide(q)
    dq, dk, dv = (torch.zeros(x.shape, dtype=x.dtype, device=x.device) for x in (q, k, v))
    slopes = options.alibi_slopes
    dbias = torch.zeros((), dtype=wide, device=q.device)
    dslopes = torch.zeros(slopes.shape if slopes is not None and wants_slopes else (0,), dtype=wide, device=q.device)
    for part, heads in _each(q, k, v, options):
        scores, gradients = _Scratch(heads.k), _Scratch(heads.k)
        upstream = _rows(grad, part).to(wide)
        dq_rows, dk_rows, dv_rows = torch.zeros_like(heads.q), torch.zeros_like(heads.k), torch.zeros_like(heads.v)
        for rows in heads.queries():
            queries, g = heads.q[:, :, rows].flatten(1, 2), upstream[:, :, rows].flatten(1, 2)
            dq_tile = torch.zeros_like(queries)
            for tile in heads.tiles(rows):
                keys, values = heads.k[:, tile.columns], heads.v[:, tile.columns]
                shape = (*keys.shape[:2], queries.shape[1])
                p, ds = scores.take(*shape), gradients.take(*shape)
                torch.baddbmm(heads.bias, keys, queries.transpose(1, 2), out=p)
                _activate(p, heads, tile, transposed=True)
                dv_rows[:, tile.columns].baddbmm_(p, g)
                torch.bmm(values, g.transpose(1, 2), out=ds)
                torch.ops.aten.sigmoid_backward.grad_input(ds, p, grad_input=ds)  # ds * (1 - p) * p, in place
                if tile.hidden is not None:
                    _by_head(ds, heads).masked_fill_(tile.hidden.T[:, None], 0)
                dk_rows[:, tile.columns].baddbmm_(ds, queries)
                dq_tile.baddbmm_(ds.transpose(1, 2), keys)
                if wants_bias:
                    dbias += ds.sum()
                if wants_slopes and tile.distance is not None:
                    _add_slopes(dslopes, part, -(_by_head(ds, heads) * tile.distance.T[:, None]).sum((1, 3)))
            dq_rows[:, :, rows] = (dq_tile * options.scale_for(q.shape[3])).view_as(dq_rows[:, :, rows])
        _put(dq, part, dq_rows)
        _put_keys(dk, part, dk_rows)
        _put_keys(dv, part, dv_rows)
    bias = options.bias
    return (
        dq,
        dk,
        dv,
        dbias.to(bias.dtype).reshape(bias.shape) if wants_bias and isinstance(bias, Tensor) else q.new_empty(0),
        dslopes.to(slopes.dtype) if wants_slopes and slopes is not None else q.new_empty(0),
    )


def _wide(x: Tensor) -> torch.dtype:
    return torch.promote_types(x.dtype, torch.float32)


def _by_head(tile: Tensor, heads: _Heads) -> Tensor:
    """A transposed tile (R, keys, group * queries) seen as (R, keys, group, queries)."""
    return torch.unflatten(tile, 2, (heads.q.shape[1], -1))


def _activate(scores: Tensor, heads: _Heads, tile: _Tile, *, transposed: bool) -> None:
    """Scores to weights, in place. Masked after the activation, so that a NaN under the mask stays there."""
    if tile.distance is None and tile.hidden is None:
        scores.sigmoid_()
        return
    group = heads.q.shape[1]
    by_head = torch.unflatten(scores, 2 if transposed else 1, (group, -1))
    by_head = by_head.transpose(1, 2) if transposed else by_head
    if heads.slopes is not None and tile.distance is not None:
        by_head.sub_(heads.slopes * (tile.distance.T if transposed else tile.distance))
    scores.sigmoid_()
    if tile.hidden is not None:
        by_head.masked_fill_(tile.hidden.T if transposed else tile.hidden, 0)


class _Part(NamedTuple):
    """Which batch rows, key heads and stretch of the length are computed together."""

    batch: slice
    key_heads: slice
    queries: slice
    keys: slice
    row: int
    """The sequence, where they are packed; else the first batch row."""
    group: int


def _each(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Iterator[tuple[_Part, _Heads]]:
    """The work in parts whose tiles fit the caches: whole batch rows, or some heads of one."""
    batch, heads, nq, dim = q.shape
    scale = options.scale_for(dim)
    key_heads = k.shape[1]
    group = heads // key_heads
    wide = _wide(q)
    bias = torch.as_tensor(options.bias, dtype=wide, device=q.device).detach().reshape(1, 1, 1)
    together = max(1, MOST_SCORES // (min(nq * group, QUERIES) * min(k.shape[2], KEYS) or 1))
    lengths = None if options.key_lengths is None else options.key_lengths.tolist()
    if options.cu_seqlens_q is not None:
        pieces = [(slice(0, 1), *sequence) for sequence in options.sequences()]
    else:
        step = max(1, together // key_heads) if lengths is None and not options.slopes_by_row else 1
        whole = slice(0, nq), slice(0, k.shape[2])
        pieces = [(slice(row, min(row + step, batch)), row, *whole) for row in range(0, batch, step)]
    for rows, row, queries, keys in pieces:
        several = together if rows.stop - rows.start == 1 else key_heads
        for start in range(0, key_heads, several):
            part = _Part(rows, slice(start, min(start + several, key_heads)), queries, keys, row, group)
            slopes = None
            if options.alibi_slopes is not None:
                mine = options.alibi_slopes[row] if options.slopes_by_row else options.alibi_slopes
                mine = mine.to(wide).unflatten(0, (key_heads, group))[part.key_heads]
                slopes = mine.repeat(rows.stop - rows.start, 1)[:, :, None, None]
            yield (
                part,
                _Heads(
                    _rows(q, part).to(wide) * scale,
                    _keys(k, part).to(wide),
                    _keys(v, part).to(wide),
                    bias,
                    slopes,
                    keys.stop - keys.start if lengths is None else lengths[row],
                    options,
                ),
            )


def _rows(x: Tensor, part: _Part) -> Tensor:
    """A part of (B, H, N, D) as (R, group, n, D)."""
    heads = slice(part.key_heads.start * part.group, part.key_heads.stop * part.group)
    return torch.unflatten(x[part.batch, heads, part.queries], 1, (-1, part.group)).flatten(0, 1)


def _within(out: Tensor, part: _Part) -> Tensor:
    """`_rows` as a view, to be written to; torch refuses where it would be a copy. A part has whole rows, or heads of one."""
    heads = slice(part.key_heads.start * part.group, part.key_heads.stop * part.group)
    where = out[part.batch, heads, part.queries]
    return where.view(where.shape[0] * where.shape[1] // part.group, part.group, *where.shape[2:])


def _keys(x: Tensor, part: _Part) -> Tensor:
    return x[part.batch, part.key_heads, part.keys].flatten(0, 1)


def _put(x: Tensor, part: _Part, values: Tensor) -> None:
    heads = slice(part.key_heads.start * part.group, part.key_heads.stop * part.group)
    where = x[part.batch, heads, part.queries]
    where.copy_(values.reshape(where.shape))


def _put_keys(x: Tensor, part: _Part, values: Tensor) -> None:
    where = x[part.batch, part.key_heads, part.keys]
    where.copy_(values.view(where.shape))


def _add_slopes(total: Tensor, part: _Part, found: Tensor) -> None:
    """``found`` (R, group) for the heads of the part."""
    heads = slice(part.key_heads.start * part.group, part.key_heads.stop * part.group)
    if total.ndim == 2:
        total[part.row, heads] += found.flatten()
    else:
        total[heads] += torch.unflatten(found, 0, (part.batch.stop - part.batch.start, -1)).sum(0).flatten()


attend = operator("sigmoid_attention_blocked", forward, backward)
attention = taking_keywords(checked(attend))
