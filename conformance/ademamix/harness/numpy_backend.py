"""The NumPy protocol: a class with the interface of `impls.ademamix.numpy_optimizer.NumpyAdEMAMix`."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np

from conformance.ademamix.harness.problem import Array, OptimizerLoad, Running, TensorProblem
from conformance.ademamix.harness.run_loop import OptimizerBackend, OptimizerPlug
from impls.ademamix.numpy_optimizer import Hyper, NumpyAdamW
from impls.implementation import Unsupported
from reference.ademamix import Hyperparameters


class NumpyBackend(OptimizerBackend):
    """Runs a NumPy optimizer; parameters and gradients are arrays in the dtype that it computes in."""

    optimizer: Any
    handed: list[tuple[int, Any]]

    def refuse(self) -> None:
        problem = self.problem
        if any(t.expanded == "parameter" for t in problem.tensors):
            raise Unsupported("parameters are copied on construction, so that none shares its memory")
        saved = "hyperparameters in the state" if problem.rebuilt_otherwise else ""
        saved = saved or ("learning rates that are tensors" if problem.rate_tensors else "")
        special = "sparse gradients, or dtypes side by side" if any(t.sparse or t.dtype for t in problem.tensors) else ""
        what = problem.use or ", ".join(name for name, _ in problem.options) or saved or special
        if what:
            raise Unsupported(f"{what}: a notion of torch.optim")

    @property
    def options(self) -> dict[str, Any]:
        """Further arguments of the constructor."""
        return dict(self.problem.options)

    def build(self, step: int) -> None:
        groups = [
            ([self.problem.tensors[n].start.copy() for n in numbers], as_hyper(self.hyper_for(index, step)))
            for index, numbers in self.layout
        ]
        made = NumpyAdamW if self.is_adamw(step) else self.plug.loaded
        self.optimizer = made(groups, self.problem.dtype, **self.options)

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
        self.optimizer = duplicated(self.optimizer)

    def add(self, index: int, number: int, step: int) -> None:
        hyper = as_hyper(self.problem.groups[index].hyper_at(step))
        self.optimizer.add_group([self.problem.tensors[number].start.copy()], hyper)

    def change(self, index: int, step: int) -> None:
        for place, (own, _) in enumerate(self.layout):
            if own == index:
                parameters, _ = self.optimizer.groups[place]
                self.optimizer.groups[place] = (parameters, as_hyper(self.problem.groups[index].hyper_at(step)))

    def advance(self, step: int) -> None:
        self.handed = []
        gradients: list[list[Any]] = [[None] * len(numbers) for _, numbers in self.layout]
        for number, (place, slot) in self.places.items():
            tensor = self.problem.tensors[number]
            g = tensor.gradients[step - tensor.joins_at]
            if g is not None:
                gradients[place][slot] = self.hand(number, tensor, np.array(g, dtype=self.optimizer.compute))
        self.step(gradients, self.rates(step), step)

    def hand(self, number: int, tensor: TensorProblem, g: Any) -> Any:
        """A gradient in the memory that its tensor asks for."""
        if tensor.transposed == "gradient":
            g = np.asfortranarray(g)
        if tensor.offset:
            memory = np.full(g.size + 8, np.nan, dtype=g.dtype)
            memory[3 : 3 + g.size] = g.ravel()
            g = memory[3 : 3 + g.size].reshape(g.shape)
        if (tensor.strided or tensor.expanded) and g.ndim:
            memory = np.full((*g.shape[:-1], 2 * g.shape[-1]), np.nan, dtype=g.dtype)
            if tensor.strided:
                memory[..., ::2] = g
                g = memory[..., ::2]
            else:
                memory[..., :1] = g[..., :1]
                g = np.lib.stride_tricks.as_strided(memory, g.shape, (*memory.strides[:-1], 0))
        self.handed.append((number, g))
        return g

    def step(self, gradients: list[list[Any]], rates: list[float], step: int) -> None:
        """Make the step."""
        self.optimizer.step(gradients, rates)

    def given(self) -> Iterator[tuple[int, Array]]:
        return ((number, np.asarray(g, dtype=np.float64)) for number, g in self.handed)

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

        def step() -> None:
            optimizer.step([list(load.gradients)], [load.learning_rate])

        def parameters() -> Any:
            return optimizer.groups[0][0]

        return Running(
            step,
            lambda: [np.array(p, dtype=np.float64) for p in parameters()],
            lambda tensor, index: float(parameters()[tensor][index]),
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
