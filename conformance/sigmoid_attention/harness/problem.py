"""One call of sigmoid attention and its result as plain NumPy arrays, for implementations in any library."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from impls.sigmoid_attention.options import AttentionOptions

Array = npt.NDArray[np.float64]

FAR_ROW = 2**27
"""Elements between rows that lie far apart: the 17th begins beyond what 32 bits can count."""

_STRIDES: dict[str, Callable[[int, int, int], tuple[int, ...]]] = {
    "contiguous": lambda heads, length, dim: (heads * length * dim, length * dim, dim, 1),
    "transposed": lambda heads, length, dim: (heads * length * dim, dim, heads * dim, 1),
    "padded": lambda heads, length, dim: (heads * (length + 3) * (dim + 8), (length + 3) * (dim + 8), dim + 8, 1),
    "unaligned": lambda heads, length, dim: (heads * length * (dim + 1), length * (dim + 1), dim + 1, 1),
    "far": lambda heads, length, dim: (heads * length * FAR_ROW, length * FAR_ROW, FAR_ROW, 1),
    "expanded": lambda heads, length, dim: (0, 0, 0, 0),
    "turned": lambda heads, length, dim: (heads * length * dim, length * dim, 1, length),
    "broadcast": lambda heads, length, dim: (0, length * dim, dim, 1),
    "one head": lambda heads, length, dim: (length * dim, 0, dim, 1),
    "one row": lambda heads, length, dim: (heads * dim, dim, 0, 1),
}
LAYOUTS = tuple(_STRIDES)
_MIXED = {
    "mixed": {"q": "transposed", "k": "contiguous", "v": "padded"},
    "far": {"q": "contiguous", "k": "far", "v": "far", "grad": "contiguous"},
    "one key head": {"q": "contiguous", "k": "one head", "v": "one head"},
    "broadcast values": {"q": "contiguous", "k": "padded", "v": "broadcast"},
    "one query head": {"q": "one head", "k": "contiguous", "v": "contiguous"},
    "turned values": {"q": "contiguous", "k": "contiguous", "v": "turned"},
}

ONE_TENSOR = {"same tensor": ("q", "k", "v"), "q is k": ("q", "k"), "k is v": ("k", "v")}
"""Contexts in which one tensor is given for several inputs, and for which."""

REPEATED = ("same arrays", "changed in place", "viewed again")
"""Contexts in which another call comes first, of the same arrays but for one argument, which is another array or number; the
same array with other values in it; or that again, where each call gets views of its own."""

MOST_SCORES = 2**28
"""Scores of one head beyond which a case needs the feature ``long``: they need not all be held in memory."""


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
        one head     one head for all of them, with a stride of 0
        one row      one position for all of them, with a stride of 0, as the gradient of a mean over positions
        mixed        q transposed, k contiguous, v padded: no two have the same strides
        one key head, broadcast values    k and v in one head; v alone in one batch row
        one query head, turned values     q alone in one head; v alone turned
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
        return part_of(self.grad_layout if name == "grad" else self.layout, name)


def part_of(layout: str, name: str) -> str:
    """How one of q, k, v and grad lies in a layout: one of `LAYOUTS`."""
    return _MIXED.get(layout, {}).get(name, layout)


@dataclass(frozen=True, kw_only=True)
class AttentionLoad:
    """Work to be timed, drawn where it is computed: self-attention with as many key heads as query heads where nothing else
    is said."""

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
    key_heads: int = 0
    """0: as many as heads."""
    keys: int = 0
    """The number of keys; 0: as many as queries. Queries are the last positions."""
    lengths: tuple[int, ...] = ()
    """Of packed sequences, which fill ``length`` in a batch of 1."""

    @property
    def shape(self) -> tuple[int, int, int, int]:
        """Of q, the gradient at the output, and the output."""
        return (self.batch, self.heads, self.length, self.dim)

    @property
    def key_shape(self) -> tuple[int, int, int, int]:
        """Of k and v."""
        return (self.batch, self.key_heads or self.heads, self.keys or self.length, self.dim)

    @property
    def plain(self) -> bool:
        """Whether it is self-attention with as many key heads as query heads."""
        return self.shape == self.key_shape and not self.lengths

    @property
    def edges(self) -> tuple[int, ...]:
        """Where each packed sequence begins, and the end of the last."""
        return tuple(itertools.accumulate(self.lengths, initial=0))

    @property
    def options(self) -> AttentionOptions:
        """What the call is given; edges as a tuple."""
        edges = self.edges if self.lengths else None
        return AttentionOptions(bias=self.bias, causal=self.causal, cu_seqlens_q=edges, cu_seqlens_k=edges)


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
    reads anything; ``repeated(problem, other, way, backward)``, which solves both (`REPEATED`); and ``timed(load)``, which
    prepares a workload: a `TimedWork`.
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
    if layout not in _STRIDES:
        raise ValueError(f"unknown layout {layout!r}; expected one of {', '.join(LAYOUTS)}")
    strides = _STRIDES[layout](*shape[1:])
    late = int(layout == "unaligned")
    reach = 1 + sum((count - 1) * stride for count, stride in zip(shape, strides, strict=True))
    return Placement(2 * GUARD + late + reach, strides, GUARD + late)


def as_it_lies(values: Array, layout: str) -> Array:
    """An array of (B, H, N, D) with what one place in memory holds for many: the first of them for all."""
    for axis, stride in enumerate(place(values.shape, layout).strides):
        if stride == 0:
            values = np.repeat(values.take([0], axis=axis), values.shape[axis], axis=axis)
    return values
