"""Sigmoid attention by torch's flex_attention, which knows softmax alone: softmax of ``log sigmoid``, undone by its row sum.

With ``score_mod = log sigmoid(s)`` softmax's weights are ``sigmoid(s_ij) / sum_j sigmoid(s_ij)``, and the log-sum-exp that
flex_attention can return is the logarithm of that sum; so its output times ``exp(lse)`` is sigmoid attention, and autograd
goes through both. On a CUDA device it is compiled; on a CPU, where compiling serves inference alone and takes seconds for
every shape, it runs as torch's own reference does, in float32, to show that the recipe is right.
"""

from __future__ import annotations

import functools
import math
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention
from torch.nn.functional import logsigmoid

from impls.implementation import Unsupported
from impls.sigmoid_attention.operator import FAR, reach
from impls.sigmoid_attention.packed import bounds_of


def attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    *,
    bias: float | Tensor = 0.0,
    scale: float | None = None,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    alibi_slopes: Tensor | None = None,
    key_lengths: Tensor | None = None,
    cu_seqlens_q: Tensor | None = None,
    cu_seqlens_k: Tensor | None = None,
) -> Tensor:
    """As `impls.sigmoid_attention.torch_eager.attention`. Raises Unsupported for what flex_attention's kernels do not take."""
    compiled = q.device.type == "cuda"
    dtype = q.dtype
    if not compiled:
        wide = torch.promote_types(dtype, torch.float32)
        q, k, v = q.to(wide), k.to(wide), v.to(wide)
    tensors = [q, k, v, *(x for x in (bias, alibi_slopes) if isinstance(x, Tensor))]
    if not compiled and torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
        raise Unsupported("flex_attention has no backward pass on a CPU")
    if compiled and (dtype == torch.float64 or min(q.shape[3], v.shape[3]) < 16):
        raise Unsupported("flex_attention's kernels take head dims from 16 and no float64")
    nq, nk = q.shape[2], k.shape[2]
    left, right = reach(causal, window)
    number = bias.reshape(()) if isinstance(bias, Tensor) else bias
    queries, keys = _sequence_of(cu_seqlens_q, nq, q), _sequence_of(cu_seqlens_k, nk, q)
    if cu_seqlens_q is not None:
        keys = queries if cu_seqlens_k is None else keys
        edges_q = bounds_of(cu_seqlens_q)
        edges_k = edges_q if cu_seqlens_k is None else bounds_of(cu_seqlens_k)
        shifts = torch.tensor(
            [(k1 - q1) for (_, q1), (_, k1) in zip(edges_q, edges_k, strict=True)], device=q.device, dtype=torch.int64
        )
    else:
        shifts = torch.full((1,), nk - nq, device=q.device, dtype=torch.int64)

    def offset(i: Tensor, j: Tensor) -> Tensor:
        return j - i - shifts[queries[i]]

    def score_mod(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        score = score + number
        if alibi_slopes is not None:
            row = queries[i] if cu_seqlens_q is not None else b
            slope = alibi_slopes[h] if alibi_slopes.ndim == 1 else alibi_slopes[row, h]
            score = score - slope * offset(i, j).abs()
        return logsigmoid(score)

    def mask_mod(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        away = offset(i, j)
        seen = (away >= -left) & (away <= right)
        if key_lengths is not None:
            seen = seen & (j < key_lengths[b])
        if cu_seqlens_q is not None:
            seen = seen & (queries[i] == keys[j])
        return seen

    masked = min(left, right) < FAR or key_lengths is not None or cu_seqlens_q is not None
    block_mask = None
    if masked:
        block_mask = create_block_mask(mask_mod, q.shape[0] if key_lengths is not None else None, None, nq, nk, q.device)
    call: Any = _compiled() if compiled else flex_attention
    out, aux = call(
        q, k, v, score_mod=score_mod, block_mask=block_mask, scale=1 / math.sqrt(q.shape[3]) if scale is None else scale,
        enable_gqa=q.shape[1] != k.shape[1], return_aux=AuxRequest(lse=True),
    )  # fmt: skip
    # A row that sees no key has a log-sum-exp of -inf, and so a factor of 0.
    return (out * torch.exp(aux.lse)[..., None]).to(dtype)


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=True)


def _sequence_of(edges: Tensor | None, length: int, like: Tensor) -> Tensor:
    """Which packed sequence each position belongs to."""
    position = torch.arange(length, device=like.device)
    if edges is None:
        return torch.zeros_like(position)
    return torch.searchsorted(edges.to(torch.int64)[1:].contiguous(), position, right=True)
