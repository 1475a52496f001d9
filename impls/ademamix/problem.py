"""A problem is everything an optimizer is handed over a run, as plain data that no implementation can change."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from reference.ademamix import Hyperparameters

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Tensor:
    """One parameter: where it starts, and its gradient at each step from the one it joins at (None where there is none).

    Values are float64 and representable in the problem's dtype. ``joins_at`` counts steps from 0; a tensor that joins later
    is added to the running optimizer as a group of its own. ``strided`` asks for a parameter and gradients whose memory is
    not contiguous; ``transposed`` names the one, ``parameter`` or ``gradient``, whose last two axes lie in memory the other
    way round.
    """

    start: Array
    gradients: tuple[Array | None, ...]
    joins_at: int = 0
    strided: bool = False
    transposed: str = ""


@dataclass(frozen=True, eq=False)
class Group:
    """Tensors that share hyperparameters and a learning rate per step (its length is the number of steps of the run)."""

    tensors: tuple[Tensor, ...]
    hyper: Hyperparameters
    learning_rates: tuple[float, ...]


@dataclass(frozen=True, eq=False)
class Problem:
    """``resume_after`` = k saves the optimizer's state after k steps and goes on in a new optimizer that has loaded it.

    ``switch_at`` = k runs the framework's AdamW for k steps, then AdEMAMix with AdamW's moments (section 4.1 of the paper).
    """

    dtype: str
    groups: tuple[Group, ...]
    resume_after: int | None = None
    switch_at: int | None = None

    @property
    def steps(self) -> int:
        return len(self.groups[0].learning_rates)

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """All tensors, group after group; outcomes are in this order."""
        return tuple(tensor for group in self.groups for tensor in group.tensors)


@dataclass(frozen=True, eq=False)
class Outcome:
    """``parameters[tensor][step]``: values after each step from the one at which the tensor joined, float64 images.

    ``moments[tensor]`` holds ``m1``, ``m2`` and ``nu`` after the last step, as far as the implementation lets one read them.
    ``changed_gradients`` names (tensor, step) pairs whose gradient was not, after the step, what had been handed over.
    """

    parameters: tuple[tuple[Array, ...], ...]
    moments: tuple[Mapping[str, Array], ...] = ()
    changed_gradients: tuple[tuple[int, int], ...] = field(default=())


@dataclass(frozen=True, eq=False)
class Load:
    """What is timed: one group of tensors, one gradient for all steps. Arrays are float32 holding values of the dtype."""

    dtype: str
    starts: Sequence[npt.NDArray[np.float32]]
    gradients: Sequence[npt.NDArray[np.float32]]
    hyper: Hyperparameters
    learning_rate: float


@dataclass(frozen=True)
class Running:
    """An optimizer at work on a `Load`: ``step()`` makes one step, ``read()`` copies the parameters out."""

    step: Callable[[], Any]
    read: Callable[[], list[Array]]
