"""Which tiles the Gluon kernels compute, in which order, and which of them need a mask.

Each function is the kernels' own. ``function.fn`` is the same in Python, on whole numbers: so it is tested without a GPU.
Nothing here divides a negative number, since a device rounds such a quotient to zero and Python down.
"""

# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

from __future__ import annotations

from triton.experimental import gluon
from triton.experimental.gluon import language as gl


@gluon.jit
def place(tile, blocks, all_heads, section, LONGEST_FIRST: gl.constexpr):
    """The block of queries and the head (counted through the batch) of a tile.

    ``section`` heads are worked on together, so that their keys and values stay in the cache. Among them the last blocks come
    first where these see the most keys: what is begun last is then short, and no multiprocessor works long alone.
    """
    base = tile // (section * blocks) * section
    rest = tile - base * blocks
    here = min(section, all_heads - base)
    block = rest // here
    return (blocks - 1 - block if LONGEST_FIRST else block), base + rest % here


@gluon.jit
def key_tiles(first, last, length, left, right, BLOCK_N: gl.constexpr):
    """The range of key tiles for queries whose positions among the keys are ``first`` to ``last``.

    At least one, which may be masked altogether: then the output is a sum of zeros.
    """
    begin = max(first - left, 0) // BLOCK_N
    end = (min(length, max(last + right + 1, 0)) + BLOCK_N - 1) // BLOCK_N
    return begin, max(end, begin + 1)


@gluon.jit
def query_blocks(first, last, nq, nk, left, right, BLOCK_M: gl.constexpr):
    """The range of blocks of queries that see any of the keys ``first`` to ``last``; it may be empty."""
    begin = max(first - right - nk + nq, 0) // BLOCK_M
    end = (min(nq, max(last + left + 1 - nk + nq, 0)) + BLOCK_M - 1) // BLOCK_M
    return begin, max(end, begin)


@gluon.jit
def is_seen_whole(first, last, position, nk, left, right, BLOCK_M: gl.constexpr):
    """Whether all of the keys ``first`` to ``last`` are seen by each of BLOCK_M queries, the first at ``position``."""
    ends = (last < min(nk, position + right + 1)) & (position + BLOCK_M <= nk)
    return ends & (first >= position + BLOCK_M - 1 - left)


@gluon.jit
def is_whole(column, first, last, length, left, right, BLOCK_N: gl.constexpr):
    """Whether queries at positions ``first`` to ``last`` see all of the keys from ``column`` on that are in one tile."""
    return (column + BLOCK_N <= min(length, first + right + 1)) & (column >= last - left)
