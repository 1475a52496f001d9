"""Tensors of more than 2**31 elements, where 32-bit offsets wrap: filled on the device, read at sampled places."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from conformance.ademamix.harness.arguments import construct
from conformance.ademamix.harness.problem import Array, Huge
from impls.implementation import NotRun

_CHUNK = 1 << 26
_BLOCK = 256
"""Places are sampled in aligned blocks, because block-wise quantised moments depend on their whole block."""
_SAMPLED = 40
_BYTES = 12 * 4
"""Per element: parameter, gradient and three moments in float32, and as much again for the temporaries of eager code."""


def sampled(loaded: Any, settings: Mapping[str, Any], device: str, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
    """Run the steps on the whole tensor. NotRun where there is no CUDA device with memory enough for a tensor that large."""
    if huge.count > 2**31:
        _require_memory(device, huge.count * _BYTES)
    places = sampled_places(huge.count)
    at = torch.from_numpy(places).to(device)
    parameter = torch.nn.Parameter(_filled(huge, 0, device))
    optimizer = construct(loaded, settings, [parameter], huge.hyper, huge.learning_rates[0])
    values = []
    for number, rate in enumerate(huge.learning_rates, start=1):
        optimizer.param_groups[0]["lr"] = rate
        parameter.grad = None
        parameter.grad = _filled(huge, number, device)
        optimizer.step()
        values.append(parameter.detach()[at].to(device="cpu", dtype=torch.float64).numpy())
    start, *gradients = (huge.values(places, salt) for salt in range(len(huge.learning_rates) + 1))
    return [start], gradients, values


def sampled_places(count: int) -> np.ndarray:
    """Whole blocks: the first, the last, those on either side of each power of two, and some by chance."""
    blocks = -(-count // _BLOCK)
    edges = [2**k // _BLOCK for k in range(8, count.bit_length())]
    chosen = {0, blocks - 1, *edges, *(edge - 1 for edge in edges if edge)}
    chosen |= set(np.random.default_rng(1).integers(0, blocks, _SAMPLED).tolist())
    index = (np.array(sorted(c for c in chosen if c < blocks))[:, None] * _BLOCK + np.arange(_BLOCK)).ravel()
    return index[index < count]


def _require_memory(device: str, need: int) -> None:
    if device != "cuda" or not torch.cuda.is_available():
        raise NotRun("tensors of more than 2**31 elements are tested on a CUDA device; see --device cuda")
    free, _ = torch.cuda.mem_get_info()
    if free < need:
        raise NotRun(f"needs {need / 2**30:.0f} GiB of free device memory, and there are {free / 2**30:.0f}")


def _filled(huge: Huge, salt: int, device: str) -> torch.Tensor:
    """`Huge.values` of every place, made on the device chunk by chunk."""
    whole = torch.empty(huge.count, dtype=torch.float32, device=device)
    for first in range(0, huge.count, _CHUNK):
        places = torch.arange(first, min(first + _CHUNK, huge.count), device=device)
        hashed = (places * 40503 + (places >> 16) * 30011 + salt * 12345) % 65536
        whole[first : first + _CHUNK] = (hashed - 32768).to(torch.float32) / 2.0**14
    return whole
