"""A batch is what a backend is handed: the tensors of one step that agree in kind, and a row of scalars for each."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch

from impls.ademamix.scalars import Scalars

FAST, SLOW, SQUARE = "exp_avg_fast", "exp_avg_slow", "exp_avg_sq"
CODED = {FAST: "exp_avg_fast_codes", SLOW: "exp_avg_slow_codes", SQUARE: "exp_avg_sq_codes"}
"""What the moments are called where they are 8-bit codes: a checkpoint of the one can then never be read as the other."""


class Kind(NamedTuple):
    """What the tensors of a batch have in common."""

    device: str
    """Type of the device."""
    dtype: torch.dtype
    """Of parameters and gradients."""
    states: str
    """How moments are kept: ``float32`` (float64 for float64 parameters), ``bfloat16`` or ``8bit``."""
    has_fast: bool
    """False where beta1 is 0: the fast EMA is then the gradient, and none is kept."""
    stochastic: bool
    """Whether what is stored in 16 bits is rounded stochastically."""
    capturable: bool
    """Whether scalars live on the device, for CUDA graphs."""

    @property
    def moment_dtype(self) -> torch.dtype:
        """Of the moments as they are kept, or of their codes."""
        wide = torch.float64 if self.dtype == torch.float64 else torch.float32
        return {"float32": wide, "bfloat16": torch.bfloat16, "8bit": torch.uint8}[self.states]

    @property
    def draws(self) -> bool:
        """Whether random bits are needed: 8 bits always round what would stand still stochastically."""
        return self.stochastic or self.states == "8bit"


def recording() -> bool:
    """Whether a CUDA graph is being recorded, which will read at every replay what is read now."""
    initialized: bool = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return initialized and torch.cuda.is_current_stream_capturing()


def local(tensor: torch.Tensor) -> torch.Tensor:
    """This process's part of a distributed tensor: the step is elementwise."""
    plain: torch.Tensor = tensor.to_local() if hasattr(tensor, "to_local") else tensor
    return plain


@dataclass
class Batch:
    """Tensors of one kind on one device. Lists run in parallel; those that the kind has no use for are empty.

    Each item's tensors have the same shape. Moments lie in memory without gaps, in the order of theta's where that has none;
    theta and g may lie anyhow. In 8 bits, moments are codes of roots and ratios (`impls.ademamix.quantised`) and come with a
    scale for each 256 that are neighbours in memory.
    """

    kind: Kind
    device: torch.device
    theta: list[torch.Tensor] = field(default_factory=list)
    g: list[torch.Tensor] = field(default_factory=list)
    m1: list[torch.Tensor] = field(default_factory=list)
    m2: list[torch.Tensor] = field(default_factory=list)
    nu: list[torch.Tensor] = field(default_factory=list)
    m1_scale: list[torch.Tensor] = field(default_factory=list)
    m2_scale: list[torch.Tensor] = field(default_factory=list)
    nu_scale: list[torch.Tensor] = field(default_factory=list)
    scalars: list[Scalars] = field(default_factory=list)
    """One for each tensor; objects are shared where equal. Empty where the kind is capturable."""
    rows: torch.Tensor | None = None
    """Scalars on the device, float64, one row for each tensor, where the kind is capturable."""
    keys: Sequence[tuple[int, int]] | torch.Tensor = ()
    """Keys of the random bits; an int64 tensor on the device where the kind is capturable. Empty where none are drawn."""

    contiguous: bool = True
    """Whether every tensor is, which spares backends the search for those that are not."""

    def append(self, theta: torch.Tensor, g: torch.Tensor, state: dict[str, Any]) -> None:
        """Add a tensor and its moments, by the names of `impls.ademamix.states`."""
        fast, slow, square = self.names
        m2, nu = state[slow], state[square]
        self.theta.append(theta)
        self.g.append(g)
        self.m2.append(m2 if type(m2) is torch.Tensor else local(m2))
        self.nu.append(nu if type(nu) is torch.Tensor else local(nu))
        if self.kind.has_fast:
            m1 = state[fast]
            self.m1.append(m1 if type(m1) is torch.Tensor else local(m1))
        if self.kind.states == "8bit":
            if self.kind.has_fast:
                self.m1_scale.append(state["exp_avg_fast_scale"])
            self.m2_scale.append(state["exp_avg_slow_scale"])
            self.nu_scale.append(state["exp_avg_sq_scale"])

    @functools.cached_property
    def names(self) -> tuple[str, str, str]:
        """What a state of this kind calls its moments."""
        return tuple(CODED.values()) if self.kind.states == "8bit" else tuple(CODED)  # type: ignore[return-value]

    @functools.cached_property
    def moment_dtype(self) -> torch.dtype:
        """`Kind.moment_dtype`, worked out once."""
        return self.kind.moment_dtype

    def key(self, number: int) -> torch.Tensor:
        """The two words of one tensor's key, int64, on its device."""
        return (
            self.keys[number] if isinstance(self.keys, torch.Tensor) else torch.tensor(self.keys[number], device=self.device)
        )

    def scalars_at(self, number: int) -> Scalars:
        """Floats, or tensors without dimensions where the kind is capturable."""
        if self.rows is None:
            return self.scalars[number]
        # in the format of the operations: a tensor without dimensions would be widened by a wider one of its kind
        return Scalars(*self.rows[number].to(self.wide).unbind()[:14])

    @property
    def wide(self) -> torch.dtype:
        """The format of the operations."""
        return torch.float64 if self.kind.dtype == torch.float64 else torch.float32
