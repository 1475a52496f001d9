"""The NumPy protocol: a class with the interface of `impls.ademamix.numpy_optimizer.NumpyAdEMAMix`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from conformance.ademamix.harness.layouts import SHARING, array_of
from conformance.ademamix.harness.problem import OF_TORCH, Array, OptimizerLoad, Running
from conformance.ademamix.harness.run_loop import OptimizerBackend, OptimizerPlug
from impls.ademamix.numpy_optimizer import Hyper, NumpyAdamW
from impls.implementation import Unsupported
from reference.ademamix.hyperparameters import Hyperparameters


class NumpyBackend(OptimizerBackend):
    """Runs a NumPy optimizer; parameters and gradients are arrays in the dtype that it computes in."""

    optimizer: Any
    handed: list[tuple[int, Any]]

    def refuse(self) -> None:
        problem = self.problem
        if any(t.layout in SHARING for t in problem.tensors):
            raise Unsupported("parameters are copied on construction, so that none shares its memory")
        saved = "hyperparameters in the state" if problem.rebuilt_otherwise else ""
        saved = saved or ("learning rates that are tensors" if problem.rate_tensors and problem.literal else "")
        saved = saved or ("groups that are rearranged" if problem.rearranged else "")
        special = "sparse gradients, or dtypes side by side" if any(t.sparse or t.dtype for t in problem.tensors) else ""
        saved = saved or (f"a state that is saved {problem.saved_as}" if problem.saved_as in OF_TORCH else "")
        what = problem.use or ", ".join(name for name, _ in problem.options) or saved or special
        if what:
            raise Unsupported(f"{what}: a notion of torch.optim")

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of the constructor."""
        return dict(self.problem.options)

    def build(self, step: int) -> None:
        groups = [
            ([self.start_of(n) for n in numbers], as_hyper(self.hyper_for(index, step))) for index, numbers in self.layout
        ]
        made = NumpyAdamW if self.is_adamw(step) else self.plug.loaded
        self.optimizer = made(groups, self.problem.dtype, **self.options)

    def start_of(self, number: int) -> Array:
        """A copy of a tensor's starting values."""
        return self.problem.tensors[number].start.copy()

    def sign(self, number: int) -> int:
        """-1 where a gradient is handed over reversed, since the optimizer does not do it."""
        return -1 if self.problem.groups[self.problem.group_of[number]].maximize else 1

    def switch(self, step: int) -> None:
        self._resume(step)
        if not hasattr(self.optimizer, "switch_from_adamw"):
            raise Unsupported(f"{self.plug.loaded.__name__} has no method switch_from_adamw")
        self.optimizer.switch_from_adamw()

    def save(self) -> Any:
        state = self.optimizer.state()
        return _as_plain(state) if self.problem.saved_as == "plain" else state

    def load(self, state: Any) -> None:
        self.optimizer.load(state)

    def duplicate(self, duplicated: Callable[[Any], Any]) -> None:
        copy = duplicated(self.optimizer)
        self.spend()  # the old one goes its own way
        self.optimizer = copy

    def spend(self) -> None:
        gradients = [[np.full(np.shape(p), 3.0, self.optimizer.compute) for p in group] for group, _ in self.optimizer.groups]
        self.optimizer.step(gradients, [1.0] * len(gradients))

    def add(self, index: int, number: int, step: int) -> None:
        hyper = as_hyper(self.problem.groups[index].hyper_at(step))
        self.optimizer.add_group([self.start_of(number)], hyper)

    def change(self, index: int, step: int) -> None:
        for place, (own, _) in enumerate(self.layout):
            if own == index:
                parameters, _ = self.optimizer.groups[place]
                self.optimizer.groups[place] = (parameters, as_hyper(self.problem.groups[index].hyper_at(step)))

    def advance(self, step: int) -> None:
        self.handed = []
        gradients: list[list[Any]] = [[None] * len(numbers) for _, numbers in self.layout]
        for number, (place, slot) in self.places.items():
            g = self.gradient(number, step)
            if g is not None:
                gradients[place][slot] = self.hand(number, np.array(self.sign(number) * g, dtype=self.optimizer.compute))
        self.step(gradients, self.rates(step), step)

    def hand(self, number: int, g: Any) -> Any:
        """A gradient in the memory that its tensor asks for."""
        layout = self.problem.tensors[number].gradient_layout
        g = array_of(layout, g) if layout else g
        self.handed.append((number, g))
        return g

    def step(self, gradients: list[list[Any]], rates: list[float], step: int) -> None:
        """Make the step."""
        self.optimizer.step(gradients, rates)

    def given(self) -> Iterator[tuple[int, Array]]:
        return ((number, self.sign(number) * np.asarray(g, dtype=np.float64)) for number, g in self.handed)

    def read(self, number: int) -> Array:
        place, slot = self.places[number]
        return np.array(self.optimizer.groups[place][0][slot], dtype=np.float64)

    def write(self, number: int, values: Array) -> None:
        place, slot = self.places[number]
        self.optimizer.groups[place][0][slot] = np.array(values, dtype=self.optimizer.compute)

    def moments(self) -> tuple[Mapping[str, Array], ...]:
        kept = [self.optimizer.moments[place][slot] for place, slot in (self.places[n] for n in sorted(self.places))]
        return tuple({name: np.array(getattr(k, name), dtype=np.float64) for name in ("m1", "m2", "nu")} for k in kept)

    @classmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        optimizer = plug.loaded([([np.array(s) for s in load.starts], as_hyper(load.hyper))], load.dtype)

        fed: list[Any] = [list(load.gradients), load.learning_rate]

        def step() -> None:
            optimizer.step([fed[0]], [fed[1]])

        def feed(which: int, learning_rate: float | None) -> None:
            fed[:] = list((load.gradients, load.others)[which]), fed[1] if learning_rate is None else learning_rate

        def parameters() -> Any:
            return optimizer.groups[0][0]

        return Running(
            step,
            lambda: [np.array(p, dtype=np.float64) for p in parameters()],
            lambda tensor, index: float(parameters()[tensor][index]),
            feed,
        )


@functools.cache
def as_hyper(hyper: Hyperparameters) -> Hyper:
    """As `impls.ademamix.numpy_optimizer` has them; one object for equal ones, as a caller would share it."""
    return Hyper(**asdict(hyper))


def _as_plain(state: Any) -> Any:
    """What is left of a state after arrays and JSON: the declared fields."""
    return [[_plain_moments(each) for each in group] for group in state]


def _plain_moments(kept: Any) -> Any:
    values = {field.name: getattr(kept, field.name) for field in fields(kept)}
    arrays = {name: np.array(value) for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}
    rest = json.loads(json.dumps({name: value for name, value in values.items() if name not in arrays}))
    return type(kept)(**arrays, **rest)
