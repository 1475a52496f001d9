"""The protocol of programs (``cmd:``): parameters and gradients go there with every step, and the moments stay there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

from conformance.ademamix.harness.problem import OF_TORCH, Array, OptimizerLoad, OptimizerProblem, Running
from conformance.ademamix.harness.run_loop import OptimizerBackend, OptimizerPlug
from conformance.engine.discovery import UNTIMED
from conformance.engine.numeric_command import NumericCommand
from impls.implementation import Unsupported

MOMENTS = ("m1", "m2", "nu")


class CommandBackend(OptimizerBackend):
    """Runs a program; gaugeblock/vectors/SPECIFICATION.md says what it is asked. ``plug.loaded`` is a `NumericCommand`."""

    def __init__(self, plug: OptimizerPlug, problem: OptimizerProblem) -> None:
        super().__init__(plug, problem)
        self._program: NumericCommand = plug.loaded
        self._values: dict[int, Array] = {}

    def refuse(self) -> None:
        problem = self.problem
        torchs = problem.use or ", ".join(name for name, _ in problem.options)
        for asked, reason in (
            (torchs, f"{torchs}: a notion of torch.optim"),
            (
                any(t.layout or t.gradient_layout for t in problem.tensors),
                "a program gets arrays in C order, from their beginning",
            ),
            (any(t.sparse for t in problem.tensors), "a program gets whole gradients"),
            (problem.rebuilt_otherwise, "hyperparameters come with every step, and are in no state"),
            (problem.rate_tensors and problem.literal, "a program gets learning rates as numbers"),
            (problem.saved_as in OF_TORCH, f"a state that is saved {problem.saved_as}: a notion of torch.optim"),
        ):
            if asked:
                raise Unsupported(reason)

    def build(self, step: int) -> None:
        # It begins anew whatever state the process is in; but where a state is to be loaded, the process must be the same.
        self._program.call("start", {"adamw": self.is_adamw(step)}, (), {}, goes_on=step > 0)
        self._values = {n: self.problem.tensors[n].start.copy() for _, numbers in self.layout for n in numbers}

    def switch(self, step: int) -> None:
        self._program.call("switch", {}, (), {}, goes_on=True)

    def save(self) -> Any:
        return self._program.exchange("save", {}, b"", goes_on=True)

    def load(self, state: Any) -> None:
        line, arrays = state
        self._program.exchange("load", {"state": line.get("state")}, arrays, goes_on=True)

    def add(self, index: int, number: int, step: int) -> None:
        self._values[number] = self.problem.tensors[number].start.copy()

    def change(self, index: int, step: int) -> None:
        """Nothing: hyperparameters come with every step."""

    def advance(self, step: int) -> None:
        rates = self.rates(step)
        groups = [
            {
                "parameters": [str(n) for n in numbers],
                "learning_rate": rate,
                **asdict(self.problem.groups[index].hyper_at(step)),
            }
            for (index, numbers), rate in zip(self.layout, rates, strict=True)
        ]
        arrays = []
        for number, theta in self._values.items():
            gradient = self.gradient(number, step)
            arrays.append((f"theta.{number}", theta, self._dtype(number)))
            if gradient is not None:
                sign = -1 if self.problem.groups[self.problem.group_of[number]].maximize else 1
                arrays.append((f"gradient.{number}", sign * gradient, self._dtype(number)))
        expected = {f"theta.{n}": (theta.shape, (self._dtype(n),)) for n, theta in self._values.items()}
        found = self._program.call("step", {"groups": groups}, arrays, expected, goes_on=True)
        self._values = {number: found[f"theta.{number}"] for number in self._values}

    def given(self) -> Iterator[tuple[int, Array]]:
        return iter(())  # the program has a copy

    def read(self, number: int) -> Array:
        return self._values[number].copy()

    def write(self, number: int, values: Array) -> None:
        self._values[number] = values

    def moments(self) -> tuple[Mapping[str, Array], ...]:
        if "moments" not in self._program.features:
            return ()
        used = [n for n in self._values if any(g is not None for g in self.problem.tensors[n].gradients)]
        expected = {f"{m}.{n}": (self._values[n].shape, ("float64", "float32")) for n in used for m in MOMENTS}
        found = self._program.call("moments", {}, (), expected, goes_on=True)
        return tuple({m: found[f"{m}.{n}"] for m in MOMENTS if n in used} for n in sorted(self._values))

    def duplicate(self, duplicated: Callable[[Any], Any]) -> None:
        raise Unsupported("duplicates of a running optimizer: a notion of objects")

    def _dtype(self, number: int) -> str:
        return self.problem.tensors[number].dtype or self.problem.dtype

    @classmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        raise Unsupported(UNTIMED)
