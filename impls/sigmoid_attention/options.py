"""What one call of sigmoid attention asks for besides q, k and v, and the packed sequences that it may consist of."""

from __future__ import annotations

import functools
import inspect
import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Self

FAR = 2**30
"""A side of a window that has no limit: larger than any length, and small enough that adding positions stays in 32 bits."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionOptions:
    """The options of `impls.sigmoid_attention.sigmoid_attention`, by its names; arrays are the backend's own (NumPy, torch).

    Query i has the position of key ``i + Nk - Nq``: masks, windows and distances count from there.
    """

    bias: Any = 0.0
    scale: float | None = None
    causal: bool = False
    window: tuple[int, int] | None = None
    alibi_slopes: Any = None
    key_lengths: Any = None
    cu_seqlens_q: Any = None
    cu_seqlens_k: Any = None

    @property
    def left(self) -> int:
        """How far a query sees to the left of its own position; `FAR` without a limit."""
        return min(self.window[0], FAR) if self.window is not None and self.window[0] >= 0 else FAR

    @property
    def right(self) -> int:
        """How far it sees to the right; 0 where causal."""
        right = min(self.window[1], FAR) if self.window is not None and self.window[1] >= 0 else FAR
        return min(right, 0) if self.causal else right

    @property
    def slopes_by_row(self) -> bool:
        """Whether each batch row, or each packed sequence, has slopes of its own."""
        return self.alibi_slopes is not None and self.alibi_slopes.ndim == 2

    def hides(self, offset: Any) -> Any:
        """Where a key at this distance from the query's position is masked; any array of integers."""
        return (offset < -self.left) | (offset > self.right)

    def scale_for(self, head_dim: int) -> float:
        """The scale, ``1/sqrt(head_dim)`` where none is given."""
        return 1 / math.sqrt(head_dim) if self.scale is None else float(self.scale)

    def sequences(self) -> Iterator[tuple[int, slice, slice]]:
        """Number, queries and keys of each packed sequence. No sequence sees another, each is aligned by its own lengths.

        The layout is that of a batch of 1: q (1, H, total, D). ``cu_seqlens_q`` and ``cu_seqlens_k`` hold where each sequence
        begins, and the total; keys begin where queries do unless they are given. ValueError for different numbers of them.
        """
        cu_k = self.cu_seqlens_q if self.cu_seqlens_k is None else self.cu_seqlens_k
        queries, keys = (list(itertools.pairwise(_numbers(edges))) for edges in (self.cu_seqlens_q, cu_k))
        if len(queries) != len(keys):
            raise ValueError(f"{len(queries)} sequences of queries and {len(keys)} of keys: expected as many")
        for row, (one, other) in enumerate(zip(queries, keys, strict=True)):
            yield row, slice(*one), slice(*other)

    def of_sequence(self, row: int) -> Self:
        """The options of one packed sequence, a call of its own. Slopes may be one per head, or one per sequence and head."""
        slopes = self.alibi_slopes[row : row + 1] if self.slopes_by_row else self.alibi_slopes
        return replace(self, alibi_slopes=slopes, cu_seqlens_q=None, cu_seqlens_k=None)


def _numbers(edges: Any) -> list[int]:
    return list(edges.tolist() if hasattr(edges, "tolist") else edges)


def taking_keywords(attend: Callable[..., Any]) -> Callable[..., Any]:
    """``f(q, k, v, *, bias=0.0, scale=None, ...)`` from ``attend(q, k, v, options)``."""

    @functools.wraps(attend)
    def attention(q: Any, k: Any, v: Any, **options: Any) -> Any:
        return attend(q, k, v, AttentionOptions(**options))

    inputs = list(inspect.signature(attention, follow_wrapped=False).parameters.values())[:3]
    attention.__signature__ = inspect.Signature([*inputs, *_KEYWORDS])  # type: ignore[attr-defined]
    return attention


_KEYWORDS = tuple(inspect.signature(AttentionOptions).parameters.values())
