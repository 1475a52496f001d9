"""The run loop that all frameworks share, and the backend that a framework implements for it."""

from __future__ import annotations

import copy
import pickle
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from conformance.ademamix.harness.problem import (
    Array,
    Huge,
    OptimizerLoad,
    OptimizerProblem,
    Ranks,
    Running,
    RunOutcome,
    otherwise,
)  # fmt: skip
from impls.implementation import NotRun, Unsupported, in_one_line
from reference.ademamix.hyperparameters import Hyperparameters


def _at_once(hyper: Hyperparameters) -> Hyperparameters:
    """With warm-ups of one step in place of none."""
    return replace(hyper, t_alpha=hyper.t_alpha or 1, t_beta3=hyper.t_beta3 or 1)


Job = tuple[OptimizerProblem, Ranks]

DUPLICATES: dict[str, Callable[[Any], Any]] = {
    "pickled": lambda optimizer: pickle.loads(pickle.dumps(optimizer)),
    "copied": copy.deepcopy,
}


@dataclass(frozen=True)
class OptimizerPlug:
    """An optimizer as it was plugged in. ``target`` is what other processes load it by; ``settings``: see `subject`."""

    loaded: Any
    settings: Mapping[str, Any] = field(default_factory=dict)
    device: str = "cpu"
    target: str = ""


class OptimizerBackend(ABC):
    """One optimizer at work on one problem. `outcome` is the loop; a framework implements what is abstract.

    ``layout`` has, for each of the optimizer's groups, the number of the problem's group and the numbers of its tensors;
    ``places`` has the group and slot of each tensor that has joined and is still there; those in ``removed`` are not.
    """

    closures: Sequence[tuple[int, bool, bool]] = ()
    """See `RunOutcome`; for frameworks that have closures."""

    def __init__(self, plug: OptimizerPlug, problem: OptimizerProblem) -> None:
        self.plug, self.problem = plug, problem
        self.layout: list[tuple[int, list[int]]] = []
        self.places: dict[int, tuple[int, int]] = {}
        self.removed: list[int] = []
        for index in range(len(problem.groups)):
            there = [n for n, t in enumerate(problem.tensors) if problem.group_of[n] == index and not t.joins_at]
            if there:
                self._place(index, there)

    def _place(self, index: int, numbers: list[int]) -> None:
        self.places.update((number, (len(self.layout), slot)) for slot, number in enumerate(numbers))
        self.layout.append((index, numbers))

    # --- What a framework implements -----------------------------------------------------------------------------------------

    @abstractmethod
    def refuse(self) -> None:
        """Raise Unsupported where the framework has no notion of what the problem asks."""

    @abstractmethod
    def build(self, step: int) -> None:
        """Make an optimizer that holds the tensors of ``layout`` at their starts, with the hyperparameters `hyper_for` this
        step. Where `is_adamw`, it is the framework's AdamW."""

    @abstractmethod
    def switch(self, step: int) -> None:
        """Replace AdamW by AdEMAMix, which takes over its moments."""

    @abstractmethod
    def save(self) -> Any:
        """The state of the optimizer, through what the problem says it is saved as."""

    @abstractmethod
    def load(self, state: Any) -> None:
        """Load a state into the optimizer that was built last."""

    @abstractmethod
    def add(self, index: int, number: int, step: int) -> None:
        """Add a tensor that joins at this step; it is in ``layout`` already."""

    @abstractmethod
    def change(self, index: int, step: int) -> None:
        """Set the hyperparameters of a group to those that hold from this step on."""

    @abstractmethod
    def advance(self, step: int) -> None:
        """Hand over the gradients and learning rates of a step, and make it."""

    @abstractmethod
    def given(self) -> Iterator[tuple[int, Array]]:
        """The gradients handed over last, by tensor, with the values that they have now; without those not worth checking."""

    @abstractmethod
    def read(self, number: int) -> Array:
        """A copy of a parameter that has joined, float64."""

    @abstractmethod
    def write(self, number: int, values: Array) -> None:
        """Put values into a parameter that has joined."""

    @abstractmethod
    def moments(self) -> tuple[Mapping[str, Array], ...]:
        """``m1``, ``m2`` and ``nu`` of each tensor, as far as they can be read."""

    def moved(self) -> Iterator[int]:
        """The tensors whose parameter has left the memory in which it was handed over; none where memory is no notion."""
        return iter(())

    def duplicate(self, duplicated: Callable[[Any], Any]) -> None:
        """Go on with a duplicate of the optimizer."""
        raise Unsupported("duplicates of a running optimizer: a notion of objects")

    def rearrange(self, what: str) -> None:
        """Rearrange the optimizer's groups as `OptimizerProblem` says; ``layout`` and ``places`` follow on their own."""
        raise Unsupported("groups that are rearranged: a notion of torch.optim")

    def spend(self) -> None:
        """Make a step that is not of the run, in the optimizer that was built last."""
        raise Unsupported("a state loaded into a used optimizer: a notion of torch.optim")

    def finish(self) -> None:  # noqa: B027
        """Check, at the end or after a refusal, that nothing was written where nothing should be. AssertionError if it was."""

    @classmethod
    @abstractmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        """An optimizer at work, to be timed."""

    @classmethod
    def in_processes(cls, plug: OptimizerPlug, jobs: Sequence[Job], wanted: int) -> RunOutcome:
        """The outcome of one of the jobs under torch.distributed."""
        raise Unsupported("torch.distributed runs a torch.optim.Optimizer")

    @classmethod
    def sampled(cls, plug: OptimizerPlug, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        """Of a huge tensor: [start], the gradients and the parameters after each step, at sampled places."""
        raise Unsupported("tensors of more than 2**31 elements are tested on a CUDA device")

    # --- What all share ------------------------------------------------------------------------------------------------------

    def is_adamw(self, step: int) -> bool:
        """Whether the run is AdamW's at this step, before the switch."""
        return step < (self.problem.switch_at or 0)

    def hyper_for(self, index: int, step: int) -> Hyperparameters:
        """What a group of a new optimizer is built with: what has held so far, or others, which a state then replaces."""
        hyper = self.problem.groups[index].hyper_at(step - 1)
        rebuilt = step > 0 and step == self.problem.resume_after and self.problem.rebuilt_otherwise
        return otherwise(hyper) if rebuilt else hyper

    def rates(self, step: int) -> list[float]:
        """The learning rate of each of the optimizer's groups."""
        return [self.problem.groups[index].learning_rates[step] for index, _ in self.layout]

    def outcome(self) -> RunOutcome:
        """Run the whole problem; where a refusal is allowed, end there. Other errors of the optimizer are passed on."""
        self.refuse()
        try:
            return self._run()
        except (Unsupported, NotRun):
            raise
        except Exception as error:
            message = in_one_line(f"{type(error).__name__}: {error}")
            if self.problem.rate_tensors:
                with_numbers = type(self)(self.plug, replace(self.problem, rate_tensors="")).outcome()
                if self.problem.literal:
                    raise Unsupported(f"learning rates that are tensors: {message}") from None
                return with_numbers
            if (at_once := self._with_warmups_of_one()) is not None:
                return at_once
            if not self.problem.may_be_refused:
                raise
            self.finish()
            return RunOutcome(tuple((self.read(number),) for number in sorted(self.places)), refused=message)

    def _with_warmups_of_one(self) -> RunOutcome | None:
        """The outcome with warm-ups of one step, which are over at the first, where none cannot be asked for."""
        off = [not (group.hyper.t_alpha and group.hyper.t_beta3) for group in self.problem.groups]
        if not any(off) or not self.always_warms_up():
            return None
        if self.problem.literal:
            raise Unsupported("its warm-ups cannot be switched off; a length of one step, which is the same, is accepted")
        groups = tuple(
            replace(group, hyper=_at_once(group.hyper), changes=tuple((step, _at_once(h)) for step, h in group.changes))
            for group in self.problem.groups
        )
        try:
            return type(self)(self.plug, replace(self.problem, groups=groups)).outcome()
        except (Unsupported, NotRun):
            raise
        except Exception:
            return None  # the first error says more

    def always_warms_up(self) -> bool:
        """Whether the optimizer takes lengths of warm-ups, so that 0 and None may be what it cannot do."""
        return False

    def _run(self) -> RunOutcome:
        history: list[list[Array]] = [[] for _ in self.problem.tensors]
        changed: list[tuple[int, int]] = []
        self.build(0)
        for step in range(self.problem.steps):
            self._prepare(step)
            self.advance(step)
            for number, values in self.given():
                expected = np.asarray(self.gradient(number, step))
                if not np.array_equal(values, expected, equal_nan=True):
                    changed.append((number, step))
            for number in (*self.places, *self.removed):
                history[number].append(self.read(number))
        self.finish()
        return RunOutcome(
            tuple(map(tuple, history)),
            self.moments(),
            tuple(changed),
            moved=tuple(self.moved()),
            closures=tuple(self.closures),
        )

    def gradient(self, number: int, step: int) -> Array | None:
        """What a tensor is handed at a step."""
        tensor = self.problem.tensors[number]
        return np.ones(tensor.start.shape) if number in self.removed else tensor.gradients[step - tensor.joins_at]

    def _prepare(self, step: int) -> None:
        """What happens between two steps: a switch, a resume, tensors that join, values and settings that change."""
        problem = self.problem
        if step and problem.switch_at == step:
            self.switch(step)
        for what in (what for since, what in problem.rearranged if since == step):
            self.rearrange(what)
            self._follow(what)
        if step and problem.resume_after == step:
            self._resume(step)
        for number, tensor in enumerate(problem.tensors):
            if step and tensor.joins_at == step:
                self._place(problem.group_of[number], [number])
                self.add(problem.group_of[number], number, step)
            if step in tensor.writes and number in self.places:
                self.write(number, tensor.writes[step])
        for index, group in enumerate(problem.groups):
            if step in dict(group.changes):
                self.change(index, step)

    def _follow(self, what: str) -> None:
        """Bring ``layout`` and ``places`` up to date after `rearrange`."""
        if what == "groups reversed":
            self.layout.reverse()
        for _, numbers in self.layout:
            if what == "parameters reversed":
                numbers.reverse()
            elif what == "removed":
                self.removed.append(numbers.pop())
        self.places = {n: (place, slot) for place, (_, own) in enumerate(self.layout) for slot, n in enumerate(own)}

    def _resume(self, step: int) -> None:
        """Go on in a duplicate, or in a new optimizer that has loaded the state of the old one, as restarted trainings do."""
        if self.problem.saved_as in DUPLICATES:
            self.duplicate(DUPLICATES[self.problem.saved_as])
            return
        state = self.save()
        values = {number: self.read(number) for number in self.places}
        self.build(step)
        if self.problem.saved_as in ("used", "twice"):
            self.spend()
        self.load(state)
        if self.problem.saved_as == "twice":
            self.load(self.save())
        for number, value in values.items():
            self.write(number, value)
