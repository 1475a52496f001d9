"""Which keys a query sees, and how far away they are: positions are bottom-right aligned.

Query ``i`` has key position ``i + Nk - Nq``, so that the last query has the last key's position. The paper does not say
how unequal lengths are aligned; this is the rule of its published kernel (flash_attn_interface.py of
apple/ml-sigmoid-attention, after FlashAttention 2.1), and the one that decoding with cached keys needs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]
Positions = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
"""Of the queries (Nq,) and of the keys (Nk,), where these are some of a longer sequence."""


class MaskOptions(TypedDict, total=False):
    """The keywords of `visible`, under which the other functions take them too."""

    causal: bool
    window: tuple[int, int] | None
    key_lengths: Sequence[int] | npt.NDArray[np.int64] | None
    positions: Positions | None


def visible(
    query_length: int,
    key_length: int,
    *,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    key_lengths: Sequence[int] | npt.NDArray[np.int64] | None = None,
    positions: Positions | None = None,
) -> Mask:
    """True where query i sees key j: shape (batch, 1, Nq, Nk), with batch 1 unless ``key_lengths`` is given.

    ``causal``: ``j <= i + Nk - Nq``. ``window=(left, right)``: ``-left <= j - (i + Nk - Nq) <= right``, both ends
    included, -1 for no limit on that side. ``key_lengths[b]``: ``j < key_lengths[b]``. What is given is intersected.
    ``positions`` replace ``i + Nk - Nq`` and ``j`` in the first two.

    Key lengths hide keys and move nothing: positions still count from the full ``Nk``. (Kernels for cached keys align to
    each row's own length instead; the paper is silent, so no requirement asks for the two together with alignment.)
    Raises ValueError for a window side under -1 or a key length outside 0..Nk.
    """
    offset = _offset(query_length, key_length, positions)
    mask = np.ones((1, 1, query_length, key_length), dtype=bool)
    if causal:
        mask &= offset <= 0
    if window is not None:
        left, right = window
        if left < -1 or right < -1:
            raise ValueError(f"window {window!r}: each side must be -1 (no limit) or at least 0")
        if left >= 0:
            mask &= offset >= -left
        if right >= 0:
            mask &= offset <= right
    if key_lengths is not None:
        lengths = np.asarray(key_lengths, dtype=np.int64)
        if lengths.ndim != 1 or np.any(lengths < 0) or np.any(lengths > key_length):
            raise ValueError(f"key_lengths {key_lengths!r}: expected one length per batch row, each in 0..{key_length}")
        mask = mask & (np.arange(key_length) < lengths[:, None, None, None])
    return mask


def distance(query_length: int, key_length: int, positions: Positions | None = None) -> Array:
    """``|i + Nk - Nq - j|``, shape (Nq, Nk): what an ALiBi slope multiplies before it is subtracted from the score.

    ``positions`` as in `visible`.

    Symmetric, as in the published kernel. The eager code published beside it adds ``slope (j - i)``, signed, which agrees
    only under a causal mask; for a key in the future it would raise the score, against ALiBi's purpose.
    """
    return np.abs(_offset(query_length, key_length, positions)).astype(np.float64)


def _offset(query_length: int, key_length: int, positions: Positions | None) -> npt.NDArray[np.int64]:
    """Each key's position less each query's, shape (Nq, Nk)."""
    queries, keys = positions or (np.arange(query_length) + key_length - query_length, np.arange(key_length))
    return keys[None, :] - queries[:, None]
