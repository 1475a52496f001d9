"""x-transformers' sigmoid attention, called where its layers call it: ``Attend(sigmoid=True)``.

It is what ``Attention(..., sigmoid=True)`` and ``Decoder(attn_sigmoid=True)`` put between their projections. It offers no
bias b (its ``attn_bias`` is for relative positions), so cases with one are a declared gap.
"""

from __future__ import annotations

import torch
from x_transformers.attend import Attend


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    *,
    scale: float | None = None,
    causal: bool = False,
    key_lengths: torch.Tensor | None = None,
) -> torch.Tensor:
    """Its output alone; key lengths become the key padding mask (batch, Nk), True where a key counts."""
    mask = None
    if key_lengths is not None:
        mask = torch.arange(k.shape[2], device=k.device) < key_lengths.to(k.device)[:, None]
    attend = Attend(heads=q.shape[1], sigmoid=True, causal=causal, scale=scale)
    output: torch.Tensor = attend(q, k, v, mask=mask)[0]
    return output
