"""FlashSigmoid, the paper's own kernel (apple/ml-sigmoid-attention), where somebody has built it.

Its tensors are (batch, length, heads, dim).
It is not on the package index; it is built from source, with a CUDA compiler.
"""

from __future__ import annotations

from typing import Any

import torch

from impls.contract import NotRun


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
    bias: float = 0.0,
    causal: bool = False,
    window: tuple[int, int] | None = None,
    alibi_slopes: torch.Tensor | None = None,
) -> Any:
    """Its ``flash_attn_func``, by keywords: its documentation's own example passes them in another order than it takes."""
    try:
        from flash_sigmoid import flash_attn_func
    except ImportError as error:
        raise NotRun(
            "needs flash_sigmoid, built from source: clone https://github.com/apple/ml-sigmoid-attention and "
            f"python -m pip install ./ml-sigmoid-attention/flash_sigmoid ({error})"
        ) from error
    return flash_attn_func(
        q,
        k,
        v,
        softmax_scale=scale,
        causal=causal,
        window_size=window or (-1, -1),
        alibi_slopes=alibi_slopes,
        sigmoid_bias=bias,
    )
