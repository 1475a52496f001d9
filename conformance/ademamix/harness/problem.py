"""The input of an optimizer over a run (a problem) and its result (an outcome), as plain data."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from conformance.ademamix.harness.layouts import SHARING
from conformance.benchmark.on_device import OnDevice
from reference.ademamix.hyperparameters import Hyperparameters

Array = npt.NDArray[np.float64]

RESHAPED: dict[str, Callable[[Any], Any]] = {
    "cut": lambda moment: moment[:1],
    "turned": lambda moment: moment.T,
    "flat": lambda moment: moment.reshape(-1),
}
"""Moments that do not fit, by the way of saving; of arrays and of tensors."""
OF_TORCH = frozenset({"wider", "hooked", "without options", *RESHAPED})
"""Ways of saving that change what a state_dict of torch holds."""

BY_GROUP = "by group"
"""A value of the option ``maximize``: the optimizer must have that argument, and each group says whether it is True."""

USES = ("", "closure", "accumulated", "scaler", "compiled", "graph")
"""How a training loop may call an optimizer; see `OptimizerProblem`."""


@dataclass(frozen=True, eq=False)
class TensorProblem:
    """One parameter: where it starts, and its gradient at each step from the one it joins at (None where there is none).

    Values are float64 and representable in the problem's dtype. ``joins_at`` counts steps from 0; a tensor that joins later
    is added to the running optimizer as a group of its own. ``layout`` and ``gradient_layout`` say how the parameter and its
    gradients lie in memory; see `conformance.ademamix.harness.layouts`. ``sparse`` asks for gradients in a sparse layout.
    ``writes`` are values that the training loop puts into the parameter, each before a step. ``dtype`` is its own where it is
    not the problem's.
    """

    start: Array
    gradients: tuple[Array | None, ...]
    joins_at: int = 0
    layout: str = ""
    gradient_layout: str = ""
    sparse: bool = False
    writes: Mapping[int, Array] = field(default_factory=dict)
    dtype: str = ""


@dataclass(frozen=True, eq=False)
class GroupProblem:
    """Tensors that share hyperparameters and a learning rate per step (its length is the number of steps of the run).

    ``changes``: (step, hyperparameters) pairs in order; from that step on these hold, in the same optimizer. ``maximize``: its
    gradients are reversed, by the optimizer's own argument; one that has none is handed them reversed.
    """

    tensors: tuple[TensorProblem, ...]
    hyper: Hyperparameters
    learning_rates: tuple[float, ...]
    changes: tuple[tuple[int, Hyperparameters], ...] = ()
    maximize: bool = False

    def hyper_at(self, step: int) -> Hyperparameters:
        """Those that hold at a step, counted from 0."""
        return next((hyper for since, hyper in reversed(self.changes) if since <= step), self.hyper)


@dataclass(frozen=True, eq=False)
class OptimizerProblem:
    """``resume_after`` = k saves the optimizer's state after k steps and goes on in a new optimizer that has loaded it.

    ``saved_as`` says how: "" the framework's own way, ``plain`` as arrays and JSON alone, as in safetensors files; ``pickled``
    and ``copied`` (copy.deepcopy) go on with such a duplicate of the optimizer, its parameters included; ``used`` loads the
    state into an optimizer that has made a step, ``twice`` loads it, saves it there and loads it again. Of a state on its way
        wider              what it holds in floating point is cast to float64
        hooked             hooks of torch.optim wrap the saved state into another dictionary, and take it out again
        without options    options that torch.optim itself has added over the years are missing
        cut, turned, flat  each moment has one row, its axes the other way round, or one axis: those of another parameter
    ``relaid``: the parameters of the new optimizer lie in memory otherwise, as in a model converted meanwhile.
    ``rebuilt_otherwise`` builds that new optimizer with other hyperparameters, which those of the state then replace.
    ``switch_at`` = k runs the framework's AdamW for k steps, then AdEMAMix with AdamW's moments (section 4.1).

    ``use`` is how the training loop calls it:
        closure      ``step(closure)``, where the closure computes the gradients
        accumulated  every gradient is summed up from three parts in the same memory
        scaler       loss scaling: gradients come scaled; where a step has none (None), one that overflowed comes instead
        compiled     ``torch.compile(optimizer.step)``
        graph        a captured CUDA graph, replayed
    ``within``: ``no_grad`` where the loop disables gradients around the step.
    ``options`` are further arguments of the constructor, as (name, value) pairs. ``rate_tensors``: learning rates are tensors,
    which the training loop writes into (``written``) or replaces (``replaced``). ``literal``: no warm-up is asked for as none,
    not as its equal, one of a single step, and a rate as a tensor or not at all.
    ``rearranged``: (step, what): what the training does to ``param_groups`` before that step:
        parameters reversed    the list of each group
        groups reversed        the list of groups
        replaced               the first parameter of each group, by another with its values and its state
        removed                the last parameter of each group, together with its state; its gradients go on
    """

    dtype: str
    groups: tuple[GroupProblem, ...]
    resume_after: int | None = None
    switch_at: int | None = None
    saved_as: str = ""
    use: str = ""
    options: tuple[tuple[str, Any], ...] = ()
    rebuilt_otherwise: bool = False
    rate_tensors: str = ""
    literal: bool = False
    relaid: bool = False
    within: str = ""
    rearranged: tuple[tuple[int, str], ...] = ()

    @property
    def may_be_refused(self) -> bool:
        """Whether an error is an honest answer."""
        return self.saved_as in RESHAPED or any(t.sparse or t.layout in SHARING for t in self.tensors)

    def __post_init__(self) -> None:
        if self.use not in USES:
            raise ValueError(f"use is {self.use!r}; expected one of {', '.join(map(repr, USES))}")

    @classmethod
    def of_one(cls, tensor: TensorProblem, hyper: Hyperparameters, rates: tuple[float, ...], dtype: str = "float32") -> Self:
        """One group of one tensor."""
        return cls(dtype, (GroupProblem((tensor,), hyper, rates),))

    @property
    def steps(self) -> int:
        return len(self.groups[0].learning_rates)

    @cached_property
    def tensors(self) -> tuple[TensorProblem, ...]:
        """All tensors, group after group; outcomes are in this order."""
        return tuple(tensor for group in self.groups for tensor in group.tensors)

    @cached_property
    def group_of(self) -> tuple[int, ...]:
        """The number of each tensor's group."""
        return tuple(index for index, group in enumerate(self.groups) for _ in group.tensors)


def otherwise(hyper: Hyperparameters) -> Hyperparameters:
    """Different hyperparameters, which loading a saved state must replace."""
    lengths = {name: 3 * length for name in ("t_alpha", "t_beta3") if (length := getattr(hyper, name))}
    between = (hyper.beta1 + hyper.beta3) / 2
    return replace(hyper, beta2=hyper.beta2 / 2, beta3=between, alpha=hyper.alpha + 3, weight_decay=0.5, eps=0.5, **lengths)


@dataclass(frozen=True)
class Ranks:
    """How a problem is spread over processes of torch.distributed: ``ddp`` replicates, ``fsdp`` shards along the first axis.

    ``then`` is the number of processes that go on after the checkpoint at the problem's ``resume_after``; 0: no checkpoint.
    """

    kind: str
    world: int
    then: int = 0


@dataclass(frozen=True)
class Huge:
    """One float32 parameter too large to be handed over as an array: its values are a function of the place."""

    count: int
    hyper: Hyperparameters
    learning_rates: tuple[float, ...]

    @staticmethod
    def values(places: npt.NDArray[np.int64], salt: int) -> Array:
        """Multiples of 2**-14 in [-2, 2), the same on every device: salt 0 is the start, k the gradient of step k."""
        hashed = (places.astype(np.int64) * 40503 + (places.astype(np.int64) >> 16) * 30011 + salt * 12345) % 65536
        return (hashed - 32768.0) / 2.0**14


@dataclass(frozen=True, eq=False)
class RunOutcome:
    """``parameters[tensor][step]``: values after each step from the one at which the tensor joined, float64 images.

    ``moments[tensor]`` holds ``m1``, ``m2`` and ``nu`` after the last step, as far as the implementation lets one read them.
    ``changed_gradients`` names (tensor, step) pairs whose gradient was not, after the step, what had been handed over.
    ``refused`` is the message of an error that ended a run with gradients or parameters which may be refused.
    ``moved`` numbers the tensors whose parameter lay in other memory at the end than at the start.
    ``closures`` holds per step: how often the closure was called, whether gradients were recorded in it, whether its loss
    came back. ``replicas`` are the parameters of the other ranks, which should be those of the first, and ``cpu_seconds`` what
    each step took of a CPU on each rank, the gradients aside.
    """

    parameters: tuple[tuple[Array, ...], ...]
    moments: tuple[Mapping[str, Array], ...] = ()
    changed_gradients: tuple[tuple[int, int], ...] = field(default=())
    refused: str = ""
    moved: tuple[int, ...] = ()
    closures: tuple[tuple[int, bool, bool], ...] = ()
    replicas: tuple[tuple[tuple[Array, ...], ...], ...] = ()
    cpu_seconds: tuple[tuple[float, ...], ...] = ()


@dataclass(frozen=True, eq=False)
class OptimizerLoad:
    """What is timed: one group of tensors, one gradient for all steps. Arrays are float32 holding values of the dtype."""

    dtype: str
    starts: Sequence[npt.NDArray[np.float32]]
    gradients: Sequence[npt.NDArray[np.float32]]
    hyper: Hyperparameters
    learning_rate: float
    others: Sequence[npt.NDArray[np.float32]] = ()
    """Gradients of which a step may be told to take these instead."""


@dataclass(frozen=True)
class ToldStep:
    """What one step is told when it is asked for, and what is looked at when it is made.

    Which of the load's two sets of gradients it gets, and at which learning rate: None leaves both as they are.
    """

    tensor: int
    index: int
    gradients: int | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Running:
    """An optimizer at work on an `OptimizerLoad`: ``step()`` makes one step, ``read()`` copies the parameters out.

    ``element(tensor, index)`` is one element of a parameter tensor as it is at that moment; on a device it is not waited for.
    ``feed(gradients, learning_rate)`` says what the next step gets.
    """

    step: Callable[[], Any]
    read: Callable[[], list[Array]]
    element: Callable[[int, int], Any]
    feed: Callable[[int, float | None], None]

    def make(self, told: Sequence[ToldStep]) -> list[float]:
        """Make steps; the element that is looked at after each."""
        seen = []
        for each in told:
            if each.gradients is not None:
                self.feed(each.gradients, each.learning_rate)
            self.step()
            seen.append(float(self.element(each.tensor, each.index)))
        return seen

    def exchange(self, told: Sequence[ToldStep]) -> list[float]:
        """All that `make` does but the steps."""
        seen = []
        for each in told:
            if each.gradients is not None:
                self.feed(each.gradients, each.learning_rate)
            seen.append(float(self.element(each.tensor, each.index)))
        return seen

    def on_device(self) -> OnDevice:
        """What times the steps by the device's clock, in this process."""
        return OnDevice(self)

    def received(self, told: ToldStep) -> ToldStep:
        """What the steps of a sample are told."""
        return told

    def tell(self, told: ToldStep) -> None:
        """Feed the steps of a sample."""
        if told.gradients is not None:
            self.feed(told.gradients, told.learning_rate)

    def once(self) -> None:
        """One step."""
        self.step()

    def look(self, told: ToldStep | None) -> Any:
        """The element that is looked at."""
        return self.element(told.tensor, told.index) if told is not None else None

    def shown(self, looked: Any) -> float | None:
        """That, as a number."""
        return None if looked is None else float(looked)


def constructor_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options that go to the constructor: all but a ``maximize`` that the groups are given instead."""
    return {name: value for name, value in options.items() if value != BY_GROUP}
