"""Self-attention for a transformer block, with what the paper found to keep sigmoid attention stable."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from impls.sigmoid_attention.api import choose, sigmoid_attention


class SigmoidAttention(nn.Module):
    """Projections, QK norm, sigmoid attention with b = -log n, an output projection, LayerScale: (B, N, E) to (B, N, E).

    Put it where a block has its softmax attention, between the norm before and the residual sum after.

    - ``embed_dim``, ``num_heads``: E and H; H divides E
    - ``max_length``: n of the bias -log n: the training length, one constant for every row, causal or not. None is no bias,
      for ALiBi, whose slopes keep the sums in bounds by themselves
    - ``num_kv_heads``: key heads, each shared by ``num_heads / num_kv_heads`` query heads; None is as many as query heads
    - ``causal``, ``window``, ``backend``: as for `sigmoid_attention`
    - ``qk_norm``: LayerNorm of each head's queries and keys, with one weight and bias per channel, shared by the heads
    - ``layer_scale``: where the per-channel weights of the output start; None is none. The paper needs it for vision, and
      finds it optional for language
    - ``output_norm``: LayerNorm of the output before the residual sum (the paper's hybrid norm, for large models at length)
    - ``alibi``: ALiBi with the usual geometric slopes (2^(-8/H), ..., 2^-8), not trained
    - ``projection_bias``: whether the projections have a bias

    ValueError for sizes that do not fit each other.
    """

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        *,
        max_length: int | None,
        num_kv_heads: int | None = None,
        causal: bool = False,
        window: tuple[int, int] | None = None,
        alibi: bool = False,
        qk_norm: bool = True,
        layer_scale: float | None = 1e-4,
        output_norm: bool = False,
        projection_bias: bool = True,
        backend: str = "auto",
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        kv_heads = num_heads if num_kv_heads is None else num_kv_heads
        if min(embed_dim, num_heads, kv_heads) < 1:
            raise ValueError(
                f"found embed_dim {embed_dim}, {num_heads} heads, {kv_heads} key heads; expected at least 1 of each"
            )
        if max_length is not None and not max_length >= 1:
            raise ValueError(f"found max_length {max_length}; expected at least 1, or None for no bias")
        if embed_dim % num_heads or num_heads % kv_heads:
            raise ValueError(
                f"found embed_dim {embed_dim}, {num_heads} heads, {kv_heads} key heads; expected heads to divide embed_dim, "
                "and key heads to divide heads"
            )
        self.num_heads, self.num_kv_heads, self.head_dim = num_heads, kv_heads, embed_dim // num_heads
        self.bias = 0.0 if max_length is None else -math.log(max_length)
        self.causal, self.window, self.backend = causal, window, backend
        made: dict[str, Any] = {"device": device, "dtype": dtype}
        width = (num_heads + 2 * kv_heads) * self.head_dim
        self.in_projection = nn.Linear(embed_dim, width, bias=projection_bias, **made)
        self.out_projection = nn.Linear(embed_dim, embed_dim, bias=projection_bias, **made)
        self.q_norm = nn.LayerNorm(self.head_dim, **made) if qk_norm else nn.Identity()
        self.k_norm = nn.LayerNorm(self.head_dim, **made) if qk_norm else nn.Identity()
        self.output_norm = nn.LayerNorm(embed_dim, **made) if output_norm else nn.Identity()
        self.layer_scale = None
        if layer_scale is not None:
            self.layer_scale = nn.Parameter(torch.full((embed_dim,), layer_scale, **made))
        self.alibi = alibi

    @property
    def alibi_slopes(self) -> Tensor | None:
        """(H,), float32, on the weights' device; made anew each time, so that no conversion rounds or loses them."""
        if not self.alibi:
            return None
        device = self.out_projection.weight.device
        wide = torch.float32 if device.type == "mps" else torch.float64
        heads = torch.arange(1, self.num_heads + 1, dtype=wide, device=device)
        return torch.exp2(heads * (-8 / self.num_heads)).float()

    def forward(self, x: Tensor, key_lengths: Tensor | None = None) -> Tensor:
        """``x`` (B, N, E); ``key_lengths`` (B,) where rows are padded at their end."""
        sizes = [heads * self.head_dim for heads in (self.num_heads, self.num_kv_heads, self.num_kv_heads)]
        q, k, v = (part.unflatten(2, (-1, self.head_dim)).transpose(1, 2) for part in self.in_projection(x).split(sizes, 2))
        # An instance of float32 norms under autocast would hand on two dtypes.
        q, k = self.q_norm(q).to(v.dtype), self.k_norm(k).to(v.dtype)
        out = sigmoid_attention(
            q, k, v, bias=self.bias, causal=self.causal, window=self.window, alibi_slopes=self.alibi_slopes,
            key_lengths=key_lengths, backend=self.backend,
        )  # fmt: skip
        out = self.output_norm(self.out_projection(out.transpose(1, 2).flatten(2)))
        result: Tensor = out if self.layer_scale is None else out * self.layer_scale
        return result

    def extra_repr(self) -> str:
        """What the sub-modules do not show."""
        probe = self.out_projection.weight.new_empty(0, 0, 0, self.head_dim)
        return f"heads={self.num_heads}, key heads={self.num_kv_heads}, bias={self.bias:.4g}, causal={self.causal}, " + (
            f"backend={choose(probe, probe, self.backend).backend}"
        )
