"""Sigmoid attention by torch's flex_attention, which knows softmax alone: softmax of ``log sigmoid``, undone by its row sum.

With ``score_mod = log sigmoid(s)`` softmax's weights are ``sigmoid(s_ij) / sum_j sigmoid(s_ij)``, and the log-sum-exp that
flex_attention can return is the logarithm of that sum; so its output times ``exp(lse)`` is sigmoid attention, and autograd
goes through both. On a CUDA device it is compiled; on a CPU, where compiling serves inference alone and takes seconds for
every shape, it runs as torch's own reference does, in float32, to show that the recipe is right.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.nn.attention.flex_attention import AuxRequest, create_block_mask, flex_attention
from torch.nn.functional import logsigmoid

from impls.implementation import Unsupported
from impls.sigmoid_attention import torch_eager
from impls.sigmoid_attention.operator import is_transformed
from impls.sigmoid_attention.options import FAR, AttentionOptions, taking_keywords
from impls.sigmoid_attention.unseen import without_unseen
from impls.sigmoid_attention.validation import checked


def attend(q: Tensor, k: Tensor, v: Tensor, options: AttentionOptions) -> Tensor:
    """As `impls.sigmoid_attention.torch_eager.attend`. Raises Unsupported for what flex_attention's kernels do not take."""
    if is_transformed():  # its tensors are taken out of the graph below, and their tangents with them
        return torch_eager.attend(q, k, v, options)
    compiled = q.device.type == "cuda"
    dtype = q.dtype
    if compiled and (dtype == torch.float64 or min(q.shape[3], v.shape[3]) < 16):
        raise Unsupported("flex_attention's kernels take head dims from 16 and no float64")
    if not compiled:
        wide = torch.promote_types(dtype, torch.float32)
        q, k, v = q.to(wide), k.to(wide), v.to(wide)
        tensors = [q, k, v, *(x for x in (options.bias, options.alibi_slopes) if isinstance(x, Tensor))]
        if torch.is_grad_enabled() and any(x.requires_grad for x in tensors):
            raise Unsupported("flex_attention has no backward pass on a CPU")
        q, k, v = q.detach(), k.detach(), v.detach()  # it refuses what could have a gradient, wanted or not
    if not q.numel() or not k.numel():  # which flex_attention refuses
        return torch_eager.attend(q, k, v, options).to(dtype)
    k, v, options = without_unseen(q, k, v, options)
    score_mod, mask_mod = _modifications(q, k, options)
    block_mask = None
    if min(options.left, options.right) < FAR or options.key_lengths is not None or options.cu_seqlens_q is not None:
        rows = q.shape[0] if options.key_lengths is not None else None
        block_mask = create_block_mask(mask_mod, rows, None, q.shape[2], k.shape[2], q.device)
    call: Any = _compiled() if compiled else flex_attention
    out, aux = call(
        q, k, v, score_mod=score_mod, block_mask=block_mask, scale=options.scale_for(q.shape[3]),
        enable_gqa=q.shape[1] != k.shape[1], return_aux=AuxRequest(lse=True),
    )  # fmt: skip
    # A row that sees no key has a log-sum-exp of -inf, and so a factor of 0.
    result: Tensor = (out * torch.exp(aux.lse)[..., None]).to(dtype)
    return result


def _modifications(q: Tensor, k: Tensor, options: AttentionOptions) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """``score_mod`` and ``mask_mod`` of flex_attention."""
    bias, slopes, lengths = options.bias, options.alibi_slopes, options.key_lengths
    number = bias.reshape(()) if isinstance(bias, Tensor) else bias
    packed = options.cu_seqlens_q is not None
    pieces = list(options.sequences()) if packed else [(0, slice(0, q.shape[2]), slice(0, k.shape[2]))]
    queries, keys = _sequence_of([mine for _, mine, _ in pieces], q), _sequence_of([theirs for *_, theirs in pieces], k)
    shifts = torch.tensor([theirs.stop - mine.stop for _, mine, theirs in pieces], device=q.device, dtype=torch.int64)

    def offset(i: Tensor, j: Tensor) -> Tensor:
        return j - i - shifts[queries[i]]

    def score_mod(score: Tensor, b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        score = score + number
        if slopes is not None:
            slope = slopes[h] if slopes.ndim == 1 else slopes[queries[i] if packed else b, h]
            score = score - slope * offset(i, j).abs()
        return logsigmoid(score)

    def mask_mod(b: Tensor, h: Tensor, i: Tensor, j: Tensor) -> Tensor:
        seen: Tensor = ~options.hides(offset(i, j))
        if lengths is not None:
            seen = seen & (j < lengths[b])
        if packed:
            seen = seen & (queries[i] == keys[j])
        return seen

    return score_mod, mask_mod


@functools.cache
def _compiled() -> Any:
    return torch.compile(flex_attention, dynamic=True)


def _sequence_of(pieces: list[slice], like: Tensor) -> Tensor:
    """Which packed sequence each position of ``like`` belongs to."""
    ends = torch.tensor([piece.stop for piece in pieces], device=like.device)
    return torch.searchsorted(ends, torch.arange(like.shape[2], device=like.device), right=True)


attention = taking_keywords(checked(attend))
