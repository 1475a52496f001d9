"""Sigmoid attention in plain torch, score matrices in memory: the baseline that speeds are compared with.

Scores, weights and their gradients are float32 (float64 for float64 input); only the weights are stored in the input
dtype, on their way to the product with v, as a fused kernel stores them.
"""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from impls.sigmoid_attention.options import FAR, AttentionOptions, taking_keywords
from impls.sigmoid_attention.unseen import without_unseen
from impls.sigmoid_attention.validation import checked

# Scores beyond this many are computed some batch rows, or some heads, at a time: 1 GiB of float32 for each step's result.
MOST_SCORES = 2**28


def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """``sigmoid(scale q k^T + bias) v``: q (B, H, Nq, D), k (B, Hk, Nk, D), v (B, Hk, Nk, Dv).

    Gradients through autograd, for the bias and the slopes too where they are tensors.
    """
    if options.cu_seqlens_q is not None:
        each = (
            attend(q[:, :, queries], k[:, :, keys], v[:, :, keys], options.of_sequence(row))
            for row, queries, keys in options.sequences()
        )
        return torch.cat(list(each), dim=2)
    if q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] > MOST_SCORES and max(q.shape[0], k.shape[1]) > 1:
        return _halves(q, k, v, options)
    k, v, options = without_unseen(q, k, v, options)
    dtype = q.dtype
    wide = torch.promote_types(dtype, torch.float32)
    group = q.shape[1] // k.shape[1]
    q, k, v = q.to(wide), k.to(wide), v.to(wide)
    if group > 1:
        k, v = k.repeat_interleave(group, dim=1), v.repeat_interleave(group, dim=1)
    weights = torch.sigmoid(_scores(q, k, options))
    if dtype != wide:
        # The value is the stored weight, exactly; a plain conversion would also round the gradient that flows back.
        weights = weights + (weights.to(dtype).to(wide) - weights).detach()
    return (weights @ v).to(dtype)


def _halves(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """Half of the batch rows, or of one row's key heads, after the other."""
    axis = 0 if q.shape[0] > 1 else 1
    group = q.shape[1] // k.shape[1] if axis else 1
    parts = []
    for theirs in (slice(0, k.shape[axis] // 2), slice(k.shape[axis] // 2, k.shape[axis])):
        mine = slice(theirs.start * group, theirs.stop * group)
        slopes, lengths = options.alibi_slopes, options.key_lengths
        if slopes is not None and (axis or slopes.ndim == 2):
            slopes = slopes[..., mine] if axis else slopes[mine]
        if lengths is not None and not axis:
            lengths = lengths[mine]
        one, other = ((slice(None),) * axis + (part,) for part in (mine, theirs))
        parts.append(attend(q[one], k[other], v[other], replace(options, alibi_slopes=slopes, key_lengths=lengths)))
    return torch.cat(parts, dim=axis)


def _scores(q: Tensor, k: Tensor, options: AttentionOptions) -> Tensor:
    """Scores (B, H, Nq, Nk), ``-inf`` where masked: before the activation, so that its gradient there is 0 as well."""
    nq, nk = q.shape[2], k.shape[2]
    # With no dimension a tensor of a wider dtype widens nothing.
    bias = options.bias.reshape(()) if isinstance(options.bias, Tensor) else options.bias
    scores: Tensor = (q @ k.transpose(-1, -2)) * options.scale_for(q.shape[3]) + bias
    offset = torch.arange(nk, device=q.device) - torch.arange(nq, device=q.device)[:, None] - (nk - nq)
    if options.alibi_slopes is not None:
        scores = scores - options.alibi_slopes.to(q.dtype)[..., None, None] * offset.abs()
    if min(options.left, options.right) < FAR:
        scores = scores.masked_fill(options.hides(offset), -math.inf)
    if options.key_lengths is not None:
        beyond = torch.arange(nk, device=q.device) >= options.key_lengths.to(q.device)[:, None, None, None]
        scores = scores.masked_fill(beyond, -math.inf)
    return scores


attention = taking_keywords(checked(attend))
