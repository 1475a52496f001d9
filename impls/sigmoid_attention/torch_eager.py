"""Sigmoid attention in plain torch, score matrices in memory: the baseline that speeds are held against.

Scores, weights and their gradients stand in float32 (float64 for float64 input); only the weights are stored in the input
dtype, on their way to the product with v, as a fused kernel stores them.
"""

from __future__ import annotations

import math

import torch

from impls.sigmoid_attention.packed import one_by_one

# Scores beyond this many are computed some batch rows, or some heads, at a time: 1 GiB of float32 for each step's result.
MOST_SCORES = 2**28


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    bias: float | torch.Tensor = 0.0,
    scale: float | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    alibi_slopes: torch.Tensor | None = None,
    key_lengths: torch.Tensor | None = None,
    cu_seqlens_q: torch.Tensor | None = None,
    cu_seqlens_k: torch.Tensor | None = None,
) -> torch.Tensor:
    """``sigmoid(scale q k^T + bias) v``: q (B, H, Nq, D), k (B, Hk, Nk, D), v (B, Hk, Nk, Dv); options as the law's.

    Gradients through autograd, for the bias and the slopes too where they are tensors.
    """
    if cu_seqlens_q is not None:
        options = {"bias": bias, "scale": scale, "causal": causal, "window": window}
        each = one_by_one(attention, q, k, v, cu_seqlens_q, cu_seqlens_k, alibi_slopes, **options)
        return torch.cat(list(each), dim=2)
    half = (q.shape[0] if q.shape[0] > 1 else k.shape[1]) // 2
    if half and q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] > MOST_SCORES:
        axis = 0 if q.shape[0] > 1 else 1
        group = q.shape[1] // k.shape[1] if axis else 1
        parts = []
        for start, stop in ((0, half), (half, k.shape[axis])):
            mine, theirs = slice(start * group, stop * group), slice(start, stop)
            slopes, lengths = alibi_slopes, key_lengths
            if slopes is not None and (axis or slopes.ndim == 2):
                slopes = slopes[..., mine] if axis else slopes[mine]
            if lengths is not None and not axis:
                lengths = lengths[mine]
            index = (slice(None), mine) if axis else (mine,)
            other = (slice(None), theirs) if axis else (theirs,)
            parts.append(
                attention(
                    q[index], k[other], v[other],
                    bias=bias, scale=scale, causal=causal, window=window, alibi_slopes=slopes, key_lengths=lengths,
                )
            )  # fmt: skip
        return torch.cat(parts, dim=axis)
    dtype = q.dtype
    wide = torch.promote_types(dtype, torch.float32)
    group = q.shape[1] // k.shape[1]
    q, k, v = q.to(wide), k.to(wide), v.to(wide)
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    nq, nk = q.shape[2], k.shape[2]
    factor = 1 / math.sqrt(q.shape[3]) if scale is None else scale
    scores = (q @ k.transpose(-1, -2)) * factor + bias
    if alibi_slopes is not None or causal or window is not None:
        offset = torch.arange(nk, device=q.device) - torch.arange(nq, device=q.device)[:, None] - (nk - nq)
    if alibi_slopes is not None:
        scores = scores - alibi_slopes.to(wide)[..., None, None] * offset.abs()
    hidden: torch.Tensor | None = None
    if causal:
        hidden = offset > 0
    if window is not None:
        left, right = window
        if left >= 0:
            hidden = _either(hidden, offset < -left)
        if right >= 0:
            hidden = _either(hidden, offset > right)
    if key_lengths is not None:
        hidden = _either(hidden, torch.arange(nk, device=q.device) >= key_lengths.to(q.device)[:, None, None, None])
    if hidden is not None:
        # Before the activation, so that its gradient there is 0 as well.
        scores = scores.masked_fill(hidden, -math.inf)
    weights = torch.sigmoid(scores)
    if dtype != wide:
        # The value is the stored weight, exactly; a plain conversion would also round the gradient that flows back.
        weights = weights + (weights.to(dtype).to(wide) - weights).detach()
    return (weights @ v).to(dtype)


def _either(hidden: torch.Tensor | None, other: torch.Tensor) -> torch.Tensor:
    return other if hidden is None else hidden | other
