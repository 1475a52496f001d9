"""Softmax attention as torch ships it: not sigmoid attention, and never judged as such; what its speed is held against.

``scaled_dot_product_attention`` with one backend at a time: on a CUDA device FlashAttention-2 or cuDNN, on a CPU torch's own
fused kernel. A bias for every score changes nothing under softmax; it is taken and ignored, so that the same work is timed.
"""

from __future__ import annotations

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from impls.contract import NotRun


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False) -> torch.Tensor:
    """Torch's flash backend: FlashAttention-2 on a CUDA device, a blocked kernel on a CPU."""
    return _by(SDPBackend.FLASH_ATTENTION, q, k, v, causal)


def cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False) -> torch.Tensor:
    """cuDNN's kernel."""
    return _by(SDPBackend.CUDNN_ATTENTION, q, k, v, causal)


def _by(backend: SDPBackend, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    if q.shape[2] != k.shape[2] and causal:
        raise NotRun("torch aligns causal masks at the top left, for unequal lengths too; it is a yardstick for square ones")
    with sdpa_kernel(backend):
        return scaled_dot_product_attention(q, k, v, is_causal=causal)
