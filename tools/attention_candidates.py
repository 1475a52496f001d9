"""The launch options that the tuning tries beside those in use; none spills, and all fit.

`tools.attention_sass` compiles all of them and reports where that is no longer true.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

KERNELS = {
    "forward": ("generic", "forward_kernel"),
    "query": ("generic", "query_gradient_kernel"),
    "key": ("generic", "key_gradient_kernel"),
    "keys": ("generic", "key_gradient_kernel"),
    "values": ("generic", "key_gradient_kernel"),
    "hopper-forward": ("hopper", "hopper_forward_kernel"),
    "hopper-query": ("hopper", "hopper_query_kernel"),
    "hopper-key": ("hopper", "hopper_key_kernel"),
}
"""Module and function of each kernel. ``keys`` and ``values`` are the two halves of ``key``, for wide heads."""


GENERIC = ("BLOCK_M", "BLOCK_N", "num_warps", "num_stages", "SPLIT", "RECIPROCALS")
"""The launch options of the generic kernels that are tried, in the order of the tables below."""

TRIED: dict[str, dict[int, tuple[tuple[Any, ...], ...]]] = {
    "forward": {
        64: (
            (128, 64, 4, 3, True, 4), (128, 64, 4, 2, True, 1), (128, 64, 8, 3, True, 1), (128, 128, 8, 2, True, 1),
            (64, 64, 4, 3, True, 1), (64, 128, 4, 3, True, 1),
        ),
        128: (
            (128, 64, 8, 3, True, 1), (128, 64, 8, 3, True, 2), (128, 64, 8, 2, True, 4), (128, 128, 8, 2, True, 4),
            (128, 64, 8, 3, True, 4), (64, 64, 4, 3, True, 4),
        ),
        256: ((128, 64, 8, 2, True, 1), (128, 32, 8, 3, True, 4), (64, 32, 4, 2, False, 4)),
    },
    "query": {
        64: ((128, 64, 8, 2, True, 1), (128, 64, 8, 2, True, 4), (128, 64, 8, 3, True, 4), (64, 64, 4, 2, True, 1)),
        128: ((128, 64, 8, 2, True, 1), (128, 32, 8, 3, True, 4), (64, 32, 4, 2, True, 4), (128, 64, 8, 2, False, 4)),
        256: ((128, 32, 8, 2, False, 4), (128, 32, 8, 1, False, 1)),
    },
    "key": {
        64: ((64, 128, 8, 2, False, 4), (64, 128, 8, 2, True, 4), (64, 128, 8, 3, False, 1), (64, 64, 4, 2, False, 1)),
        128: ((32, 128, 8, 2, False, 1), (32, 128, 8, 3, False, 4), (32, 128, 8, 2, True, 4), (32, 64, 4, 2, False, 4)),
    },
    "keys": {256: ((32, 128, 8, 2, False, 4), (32, 128, 8, 1, False, 2))},
    "values": {256: ((32, 128, 8, 2, False, 4), (64, 128, 8, 1, False, 4))},
}  # fmt: skip


def candidates(kernel: str, dim: int, causal: bool = False) -> Iterator[dict[str, Any]]:
    """Changes to the launch options of one kernel for bfloat16 and this head dim; those in use are not among them."""
    if not kernel.startswith("hopper"):
        yield from (dict(zip(GENERIC, tried, strict=True)) for tried in TRIED[kernel].get(dim, ()))
        return
    used = 1 if kernel == "hopper-forward" else 2
    full = (kernel, dim, causal) == ("hopper-key", 128, True)  # of registers: what takes more of them spills
    yield from ({"RECIPROCALS": n} for n in (0, 1, 2, 4) if n != used and not (full and n == 1))
    along = "BLOCK_M" if kernel == "hopper-key" else "BLOCK_N"
    if not full:
        yield {"SPECIALISED": False, "num_warps": 8}
    yield {"SPECIALISED": False, "num_warps": 8, along: 64 if dim == 64 or kernel == "hopper-forward" else 32}
    if dim == 64:
        yield from ({along: 64}, {"num_stages": 3}, {along: 64, "num_stages": 3})
    elif kernel != "hopper-forward":
        yield {along: 32, "num_stages": 3}
    elif causal:
        yield {"num_stages": 3}
    else:
        yield {along: 64, "num_stages": 3}
