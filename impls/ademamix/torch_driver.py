"""The torch protocol: a `torch.optim.Optimizer` subclass, handed parameters with gradients as a training loop would.

Its constructor takes ``params`` and, under any of the names in `impls.ademamix.arguments.ALIASES`, the learning rate, the
decays, alpha, eps, the weight decay and the warm-ups. Learning rates are set through ``param_groups``, as torch's
schedulers do. For the switch from AdamW it may offer
``from_adamw(adamw: torch.optim.AdamW, **hyperparameters) -> optimizer`` as a class method.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from impls._triton import choose_interpreter
from impls.ademamix.arguments import Arguments
from impls.ademamix.problem import Array, Group, Load, Outcome, Problem, Running, Tensor
from impls.contract import Unsupported

choose_interpreter()


def run(loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> Outcome:
    """Run the problem; see `impls.ademamix.problem.Problem` for what it may ask."""
    return _Run(loaded, settings, device, problem).outcome()


def start(loaded: Any, settings: Mapping[str, Any], device: str, load: Load) -> Running:
    """The optimizer, ready to step. Gradients are given again where the optimizer takes them away."""

    def tensor(values: Any) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float32).to(getattr(torch, load.dtype)).to(device)

    parameters = [torch.nn.Parameter(tensor(values)) for values in load.starts]
    gradients = [tensor(values) for values in load.gradients]
    keywords = Arguments.of(loaded, settings.get("names", {})).keywords(load.hyper, load.learning_rate)
    optimizer = loaded(parameters, **{**keywords, **settings.get("arguments", {})})

    def step() -> None:
        for parameter, gradient in zip(parameters, gradients, strict=True):
            if parameter.grad is None:
                parameter.grad = gradient
        optimizer.step()

    return Running(step, lambda: [_values(p) for p in parameters])


class _Run:
    def __init__(self, loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> None:
        self.loaded, self.settings, self.problem = loaded, settings, problem
        self.device = torch.device(device)
        self.dtype: torch.dtype = getattr(torch, problem.dtype)
        self.arguments = Arguments.of(loaded, settings.get("names", {}))
        self.group_of = [index for index, group in enumerate(problem.groups) for _ in group.tensors]
        self.parameters: list[torch.nn.Parameter | None] = [None] * len(problem.tensors)
        self.padding: list[tuple[int, torch.Tensor]] = []
        self.added: list[int] = []  # problem group of each of the optimizer's groups
        self.joined: list[list[int]] = []  # tensors of each of the optimizer's groups

    def outcome(self) -> Outcome:
        problem = self.problem
        optimizer = self._start(0)
        history: list[list[Array]] = [[] for _ in problem.tensors]
        changed: list[tuple[int, int]] = []
        for step in range(problem.steps):
            if step and problem.switch_at == step:
                optimizer = self._switch(optimizer)
            if step and problem.resume_after == step:
                optimizer = self._resume(optimizer, step)
            for number, tensor in enumerate(problem.tensors):
                if tensor.joins_at and tensor.joins_at == step:
                    self._add(optimizer, self.group_of[number], [number], step)
            for index, group in enumerate(optimizer.param_groups):
                rates = problem.groups[self.added[index]].learning_rates
                if "lr" not in group and len(set(rates)) > 1:
                    raise Unsupported(f"{self.arguments.owner} keeps no 'lr' in its param_groups; it cannot change per step")
                group["lr"] = rates[step]
            handed = [
                (number, *self._give_gradient(number, parameter, tensor, step))
                for number, (parameter, tensor) in enumerate(zip(self.parameters, problem.tensors, strict=True))
                if parameter is not None
            ]
            optimizer.step()
            for number, given, before in handed:
                if given is not None and before is not None and not np.array_equal(_values(given), before, equal_nan=True):
                    changed.append((number, step))
            for number, parameter in enumerate(self.parameters):
                if parameter is not None:
                    history[number].append(_values(parameter))
        touched = [number for number, slots in self.padding if not bool(torch.isnan(slots).all())]
        if touched:
            raise AssertionError(f"wrote between the elements of non-contiguous parameters {touched}")
        return Outcome(tuple(tuple(h) for h in history), self._moments(optimizer), tuple(changed))

    def _start(self, step: int) -> Any:
        """The optimizer at its first step, holding what does not join later."""
        optimizer: Any = None
        self.added, self.joined = [], []
        for index, group in enumerate(self.problem.groups):
            mine = [n for n, t in enumerate(self.problem.tensors) if self.group_of[n] == index and not t.joins_at]
            if mine:
                if optimizer is None:
                    optimizer = self._construct(group, mine, index, step)
                else:
                    self._add(optimizer, index, mine, step)
        return optimizer

    def _construct(self, group: Group, numbers: list[int], index: int, step: int) -> Any:
        self.added.append(index)
        self.joined.append(numbers)
        parameters = [self._parameter(n) for n in numbers]
        if self.problem.switch_at and step < self.problem.switch_at:
            h = group.hyper
            return torch.optim.AdamW(
                parameters, lr=group.learning_rates[0], betas=(h.beta1, h.beta2), eps=h.eps, weight_decay=h.weight_decay
            )
        return self._build(parameters, group)

    def _build(self, parameters: list[Any], group: Group) -> Any:
        keywords = self.arguments.keywords(group.hyper, group.learning_rates[0])
        return self.loaded(parameters, **{**keywords, **self.settings.get("arguments", {})})

    def _add(self, optimizer: Any, index: int, numbers: list[int], step: int) -> None:
        group = self.problem.groups[index]
        keywords = self.arguments.keywords(group.hyper, group.learning_rates[step])
        first = self.problem.groups[self.added[0]]
        same = self.arguments.keywords(first.hyper, first.learning_rates[0])
        for name, value in keywords.items():
            if name not in optimizer.defaults and same[name] != value:
                raise Unsupported(f"{self.arguments.owner} takes no {name!r} per parameter group")
        known = {name: value for name, value in keywords.items() if name in optimizer.defaults}
        self.added.append(index)
        self.joined.append(numbers)
        optimizer.add_param_group({"params": [self._parameter(n) for n in numbers], **known})

    def _parameter(self, number: int, values: Array | None = None) -> torch.nn.Parameter:
        tensor = self.problem.tensors[number]
        data = self._tensor(tensor.start if values is None else values)
        if tensor.strided and data.ndim:
            data, between = _strided(data)
            self.padding.append((number, between))
        if tensor.transposed == "parameter":
            data = _transposed(data)
        parameter = torch.nn.Parameter(data)
        self.parameters[number] = parameter
        return parameter

    def _tensor(self, values: Array) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.float64).to(self.dtype).to(self.device)

    def _give_gradient(
        self, number: int, parameter: torch.nn.Parameter, tensor: Tensor, step: int
    ) -> tuple[torch.Tensor | None, Array | None]:
        g = tensor.gradients[step - tensor.joins_at]
        if g is None:
            parameter.grad = None
            return None, None
        given = self._tensor(g)
        if tensor.strided and given.ndim:
            given, _ = _strided(given)
        if tensor.transposed == "gradient":
            given = _transposed(given)
        parameter.grad = given
        return given, np.asarray(g, dtype=np.float64)

    def _resume(self, optimizer: Any, step: int) -> Any:
        """Save to bytes, load into a new optimizer of copied parameters, as a restarted training does."""
        buffer = io.BytesIO()
        torch.save(optimizer.state_dict(), buffer)
        buffer.seek(0)
        state = torch.load(buffer, map_location=self.device)
        values = [None if p is None else _values(p) for p in self.parameters]
        layout = list(zip(self.added, self.joined, strict=True))
        self.added, self.joined, self.padding = [], [], []
        new: Any = None
        for index, numbers in layout:
            if new is None:
                new = self._construct(self.problem.groups[index], numbers, index, step)
            else:
                self._add(new, index, numbers, step)
        new.load_state_dict(state)
        with torch.no_grad():
            for parameter, value in zip(self.parameters, values, strict=True):
                if parameter is not None and value is not None:
                    parameter.copy_(self._tensor(value))
        return new

    def _switch(self, adamw: Any) -> Any:
        if not hasattr(self.loaded, "from_adamw"):
            raise Unsupported(f"{self.arguments.owner} has no class method from_adamw(adamw, **hyperparameters)")
        group = self.problem.groups[0]
        return self.loaded.from_adamw(adamw, **self.arguments.keywords(group.hyper, group.learning_rates[0]))

    def _moments(self, optimizer: Any) -> tuple[Mapping[str, Array], ...]:
        names = self.settings.get("moments")
        if not names:
            return ()
        return tuple(
            {ours: _values(optimizer.state[p][theirs]) for ours, theirs in names.items() if theirs in optimizer.state[p]}
            for p in self.parameters
            if p is not None
        )


def _values(tensor: torch.Tensor) -> Array:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy().copy()


def _transposed(data: torch.Tensor) -> torch.Tensor:
    """The same values, with the last axis outermost in memory."""
    return data.mT.contiguous().mT


def _strided(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same values in every second place of a larger memory, and the places between them, which hold NaN."""
    memory = torch.full((*data.shape[:-1], 2 * data.shape[-1]), float("nan"), dtype=data.dtype, device=data.device)
    memory[..., ::2] = data
    return memory[..., ::2], memory[..., 1::2]
