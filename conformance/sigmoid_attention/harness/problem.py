"""One call of sigmoid attention and its result as plain NumPy arrays, for implementations in any library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from impls.sigmoid_attention.options import AttentionOptions

Array = npt.NDArray[np.float64]

LAYOUTS = ("contiguous", "transposed", "padded", "unaligned", "far", "expanded", "turned", "broadcast")
_MIXED = {
    "mixed": {"q": "transposed", "k": "contiguous", "v": "padded"},
    "far": {"q": "contiguous", "k": "far", "v": "far", "grad": "contiguous"},
}

MOST_SCORES = 2**28
"""Scores of one head beyond which a case needs the feature ``long``: they need not all be held in memory."""

FAR_ROW = 2**27
"""Elements between rows that lie far apart: the 17th begins beyond what 32 bits can count."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AttentionProblem:
    """Inputs as float64 arrays whose values are exact in ``dtype``; shapes as in reference.sigmoid_attention. The options'
    arrays are NumPy's, lengths and edges tuples.

    ``layout`` is how q, k and v lie in memory, ``grad_layout`` how the gradient at the output does:

        contiguous
        transposed   length before heads, seen through a transposition
        padded       rows and heads apart, poison between them
        unaligned    rows one element apart, the first begun one element late: few start at a multiple of 16 bytes
        expanded     one element, every stride 0, as ``output.sum().backward()`` makes it
        turned       the last two dimensions swapped: neighbours in a row are not neighbours in memory
        broadcast    one batch row for all of them, with a stride of 0
        mixed        q transposed, k contiguous, v padded: no two have the same strides
        far          rows of k and v `FAR_ROW` elements apart, in memory that is reserved and, but for the rows, never touched

    ``wanted`` names, beside q, k and v, whose gradients are asked for: ``bias``, ``alibi_slopes``; ``frozen`` names those of
    q, k and v that ask for none.
    """

    q: Array
    k: Array
    v: Array
    grad: Array
    dtype: str
    options: AttentionOptions
    layout: str = "contiguous"
    grad_layout: str = "contiguous"
    wanted: tuple[str, ...] = ()
    frozen: tuple[str, ...] = ()

    @property
    def differentiated(self) -> tuple[str, ...]:
        """Those of q, k and v whose gradients are asked for."""
        return tuple(name for name in ("q", "k", "v") if name not in self.frozen)

    def reference_options(self) -> dict[str, Any]:
        """The keywords of the reference's functions: without the edges of packed sequences where there are none."""
        given = vars(self.options)
        packed = self.options.cu_seqlens_q is not None
        return {name: x for name, x in given.items() if packed or not name.startswith("cu_")}

    def layout_of(self, name: str) -> str:
        """How one of q, k, v and grad lies in memory: one of `LAYOUTS`."""
        layout = self.grad_layout if name == "grad" else self.layout
        return _MIXED.get(layout, {}).get(name, layout)


@dataclass(frozen=True, kw_only=True)
class AttentionLoad:
    """Work to be timed: one shape, self-attention with as many key heads as query heads, drawn where it is computed."""

    batch: int
    heads: int
    length: int
    dim: int
    dtype: str
    bias: float
    causal: bool
    backward: bool
    alone: bool = False
    """Whether the backward pass is timed alone, its forward pass done beforehand."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of q, k, v, the gradient at the output, and the output."""
        return (self.batch, self.heads, self.length, self.dim)

    @property
    def options(self) -> AttentionOptions:
        """What the call is given."""
        return AttentionOptions(bias=self.bias, causal=self.causal)


@dataclass(frozen=True)
class AttentionResult:
    """What an implementation returned, as float64 images, with what the guards saw."""

    output: Array
    dtype: str
    gradients: Mapping[str, Array] = field(default_factory=dict)
    gradient_dtypes: Mapping[str, str] = field(default_factory=dict)
    mutated: tuple[str, ...] = ()
    """Inputs whose memory, or the poison around it, was written to."""


class AttentionSubject(Protocol):
    """What a check calls: one implementation on one device. Every call gets fresh copies of its inputs.

    It may also have ``interrupted(problem, other, backward) -> AttentionResult``, which solves the other problem before it
    reads anything, and ``timed(load)``, which prepares a workload.
    """

    numerical_class: str

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """The output alone, with no gradient recorded."""

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        """Output and gradients."""


@dataclass(frozen=True)
class Placement:
    """Where a view lies in a one-dimensional buffer: all in elements."""

    size: int
    strides: tuple[int, ...]
    offset: int

    @property
    def sparse(self) -> bool:
        """Whether the buffer is too large to be filled with poison: then it is reserved only."""
        return self.size > FAR_ROW


# Multiples of it keep a view as aligned as a fresh allocation is (256 bytes for 16-bit values), so a kernel that may
# assume alignment still may.
GUARD = 128


def place(shape: tuple[int, ...], layout: str) -> Placement:
    """Where an array of (B, H, N, D) lies in ``layout``, with GUARD elements of poison before and after it."""
    batch, heads, length, dim = shape
    if layout == "contiguous":
        strides = (heads * length * dim, length * dim, dim, 1)
    elif layout == "transposed":
        strides = (heads * length * dim, dim, heads * dim, 1)
    elif layout == "padded":
        row = dim + 8
        strides = (heads * (length + 3) * row, (length + 3) * row, row, 1)
    elif layout == "unaligned":
        row = dim + 1
        strides = (heads * length * row, length * row, row, 1)
        return Placement(2 * GUARD + 1 + batch * strides[0], strides, GUARD + 1)
    elif layout == "far":
        strides = (heads * length * FAR_ROW, length * FAR_ROW, FAR_ROW, 1)
        return Placement(2 * GUARD + (batch * heads * length - 1) * FAR_ROW + dim, strides, GUARD)
    elif layout == "turned":
        strides = (heads * length * dim, length * dim, 1, length)
    elif layout == "broadcast":
        strides = (0, length * dim, dim, 1)
        return Placement(2 * GUARD + heads * length * dim, strides, GUARD)
    elif layout == "expanded":
        return Placement(2 * GUARD + 1, (0, 0, 0, 0), GUARD)
    else:
        raise ValueError(f"unknown layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
    return Placement(2 * GUARD + batch * strides[0], strides, GUARD)
