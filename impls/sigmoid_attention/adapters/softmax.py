"""Softmax attention as torch and flash-attn ship it: a speed baseline, not sigmoid attention.

Torch's ``scaled_dot_product_attention`` is asked for one backend at a time: on a CUDA device FlashAttention-2 or cuDNN, on a
CPU torch's own fused kernel; tensors (batch, heads, length, dim). The flash-attn family's own packages, where they are
installed, take (batch, length, heads, dim). A bias for every score changes nothing under softmax; it is taken and ignored, so
that the same work is timed.
"""

from __future__ import annotations

import importlib

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from impls.implementation import NotRun


def fused(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False) -> torch.Tensor:
    """Torch's flash backend: FlashAttention-2 on a CUDA device, a blocked kernel on a CPU."""
    return _by(SDPBackend.FLASH_ATTENTION, q, k, v, causal)


def cudnn(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False) -> torch.Tensor:
    """cuDNN's kernel."""
    return _by(SDPBackend.CUDNN_ATTENTION, q, k, v, causal)


def _by(backend: SDPBackend, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    if q.shape[2] != k.shape[2] and causal:
        raise NotRun("torch aligns causal masks at the top left, for unequal lengths too; it is a baseline for square ones")
    with sdpa_kernel(backend):
        return scaled_dot_product_attention(q, k, v, is_causal=causal)


def flash_attn_2(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False
) -> torch.Tensor:
    """``flash_attn_func`` of the package flash-attn, version 2."""
    return _of_family("flash_attn", q, k, v, causal)


def flash_attn_3(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False
) -> torch.Tensor:
    """``flash_attn_func`` of FlashAttention-3 (the folder hopper of its repository), for Hopper alone."""
    return _of_family("flash_attn_interface", q, k, v, causal)


def flash_attn_4(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, *, bias: float = 0.0, causal: bool = False
) -> torch.Tensor:
    """``flash_attn_func`` of the package flash-attn-4, kernels in the CuTe DSL."""
    return _of_family("flash_attn.cute", q, k, v, causal)


def _of_family(module: str, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool) -> torch.Tensor:
    try:
        flash_attn_func = importlib.import_module(module).flash_attn_func
    except (ImportError, AttributeError) as error:
        raise NotRun(f"{module} is installed and offers no flash_attn_func here: {error}") from error
    found = flash_attn_func(q, k, v, causal=causal)
    # Some versions give the row sums beside the output whether they are asked for or not.
    output: torch.Tensor = found[0] if isinstance(found, tuple) else found
    return output
