"""FlashSigmoid, the paper's own kernel (apple/ml-sigmoid-attention), where somebody has built it.

Its tensors are (batch, length, heads, dim).
"""

from __future__ import annotations

import torch
from flash_sigmoid import flash_attn_func


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
) -> torch.Tensor:
    """Its ``flash_attn_func``, by keywords: its documentation's own example passes them in another order than it takes."""
    output: torch.Tensor = flash_attn_func(
        q,
        k,
        v,
        softmax_scale=scale,
        causal=causal,
        window_size=window or (-1, -1),
        alibi_slopes=alibi_slopes,
        sigmoid_bias=bias,
    )
    return output
