"""Take away keys and values that no query sees, so that what is not finite in them reaches nothing: 0 times it is NaN."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from impls.sigmoid_attention.options import FAR, AttentionOptions


def without_unseen(
    q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions, *, lengths: bool = True
) -> tuple[Tensor, Tensor, AttentionOptions]:
    """k, v and options of an equal call: what a window leaves behind is cut off, or 0 where sequences are packed.

    What lies beyond key lengths is 0, unless ``lengths`` says that the caller reads none of it.
    """
    if options.cu_seqlens_q is not None:
        if options.left == FAR or options.cu_seqlens_k is None or options.cu_seqlens_k is options.cu_seqlens_q:
            return k, v, options
        hidden = _before_packed_windows(k.shape[2], options)[:, None]
        return k.masked_fill(hidden, 0), v.masked_fill(hidden, 0), options
    first = max(0, k.shape[2] - q.shape[2] - options.left)
    ends = options.key_lengths
    if first:  # positions count from the end, which stays
        k, v = k[:, :, first:], v[:, :, first:]
        options = replace(options, key_lengths=None if ends is None else (ends - first).clamp(min=0))
    if lengths and options.key_lengths is not None:
        beyond = torch.arange(k.shape[2], device=k.device) >= options.key_lengths[:, None]
        beyond = beyond[:, None, :, None]
        k, v = k.masked_fill(beyond, 0), v.masked_fill(beyond, 0)
    return k, v, options


def _before_packed_windows(nk: int, options: AttentionOptions) -> Tensor:
    """Which keys (Nk,) lie before the windows of all queries of their sequence; nothing waits for the device."""
    cu_q, cu_k = options.cu_seqlens_q, options.cu_seqlens_k
    j = torch.arange(nk, device=cu_k.device)
    sequence = torch.searchsorted(cu_k[1:].contiguous().long(), j, right=True)
    first = cu_k[1:] - (cu_q[1:] - cu_q[:-1]) - options.left
    hidden: Tensor = j < first[sequence]
    return hidden
