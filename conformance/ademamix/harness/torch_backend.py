"""The torch protocol: a `torch.optim.Optimizer` subclass, handed parameters with gradients as a training loop would.

Its constructor takes ``params`` and, under any of the names in `arguments.ALIASES`, the learning rate, the
decays, alpha, eps, the weight decay and the warm-ups. Learning rates are set through ``param_groups``, as torch's
schedulers do. For the switch from AdamW it may offer
``from_adamw(adamw: torch.optim.AdamW, **hyperparameters) -> optimizer`` as a class method.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from conformance.ademamix.harness import ranks
from conformance.ademamix.harness.arguments import Arguments
from conformance.ademamix.harness.checkpointing import MEDIA
from conformance.ademamix.harness.problem import Array, Group, Huge, Load, Outcome, Problem, Ranks, Running, otherwise
from conformance.ademamix.harness.torch_usage import Handed, WithClosure, loop_of, option_arguments
from impls.implementation import NotRun, Unsupported, in_one_line
from impls.triton_support import choose_interpreter

choose_interpreter()


def run(loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> Outcome:
    """Run the problem; see `conformance.ademamix.harness.problem.Problem` for what it may ask."""
    return _Run(loaded, settings, device, problem).outcome()


def in_processes(
    loaded: Any, settings: Mapping[str, Any], target: str, jobs: Sequence[tuple[Problem, Ranks]], wanted: int
) -> Outcome:
    """One of the jobs under torch.distributed, in processes of their own; see `conformance.ademamix.harness.ranks`."""
    return ranks.run(target, settings, tuple(jobs), wanted)


def sampled(loaded: Any, settings: Mapping[str, Any], device: str, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
    """Start, gradients and parameters after each step at sampled places; see `conformance.ademamix.harness.large_tensors`."""
    from conformance.ademamix.harness.large_tensors import sampled as of_huge

    return of_huge(loaded, settings, device, huge)


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
        self.arguments = Arguments.of(loaded, settings.get("names", {}))
        self.group_of = [index for index, group in enumerate(problem.groups) for _ in group.tensors]
        self.parameters: list[torch.nn.Parameter | None] = [None] * len(problem.tensors)
        self.padding: list[tuple[int, torch.Tensor]] = []
        self.added: list[int] = []  # problem group of each of the optimizer's groups
        self.joined: list[list[int]] = []  # tensors of each of the optimizer's groups
        self.loop = loop_of(problem.use, device)
        self.options = option_arguments(loaded, problem.options)

    def outcome(self) -> Outcome:
        """The whole run, or its beginning where it was refused and may be."""
        history: list[list[Array]] = [[] for _ in self.problem.tensors]
        if not any(t.sparse or t.expanded == "parameter" for t in self.problem.tensors):
            return self._run(history)
        try:
            return self._run(history)
        except (Unsupported, NotRun):
            raise
        except Exception as error:
            self._require_untouched_padding()
            message = in_one_line(f"{type(error).__name__}: {error}")
            now = [[_values(p)] for p in self.parameters if p is not None]
            return Outcome(tuple(tuple(steps) for steps in now), refused=message)

    def _run(self, history: list[list[Array]]) -> Outcome:
        problem = self.problem
        optimizer = self._start(0)
        changed: list[tuple[int, int]] = []
        for step in range(problem.steps):
            if step and problem.switch_at == step:
                optimizer = self._switch(optimizer)
            if step and problem.resume_after == step:
                optimizer = self._resume(optimizer, step)
            for number, tensor in enumerate(problem.tensors):
                if tensor.joins_at and tensor.joins_at == step:
                    self._add(optimizer, self.group_of[number], [number], step)
                if step in tensor.writes:
                    self._write(number, tensor.writes[step])
            self._change(optimizer, step)
            for index, group in enumerate(optimizer.param_groups):
                rates = problem.groups[self.added[index]].learning_rates
                if "lr" not in group and len(set(rates)) > 1:
                    raise Unsupported(f"{self.arguments.owner} keeps no 'lr' in its param_groups; it cannot change per step")
                if isinstance(group.get("lr"), torch.Tensor):
                    group["lr"].fill_(rates[step])  # what a captured graph reads
                else:
                    group["lr"] = rates[step]
            handed = self.loop.advance(optimizer, functools.partial(self._hand, step))
            for number, given, before in handed:
                if given is not None and before is not None and not np.array_equal(_values(given), before, equal_nan=True):
                    changed.append((number, step))
            for number, parameter in enumerate(self.parameters):
                if parameter is not None:
                    history[number].append(_values(parameter))
        self._require_untouched_padding()
        return Outcome(
            tuple(tuple(h) for h in history),
            self._moments(optimizer),
            tuple(changed),
            closures=tuple(self.loop.seen) if isinstance(self.loop, WithClosure) else (),
        )

    def _require_untouched_padding(self) -> None:
        touched = [number for number, slots in self.padding if not bool(torch.isnan(slots).all())]
        if touched:
            raise AssertionError(f"wrote between the elements of non-contiguous parameters {touched}")

    def _change(self, optimizer: Any, step: int) -> None:
        """Set what changes at this step where torch's schedulers would: in ``param_groups``."""
        for index, group in zip(self.added, optimizer.param_groups, strict=True):
            mine = self.problem.groups[index]
            if any(since == step for since, _ in mine.changes):
                rate = mine.learning_rates[step]
                before = self.arguments.keywords(mine.hyper_at(step - 1), rate)
                for name, value in self.arguments.keywords(mine.hyper_at(step), rate).items():
                    if value != before[name]:
                        if name not in group:
                            raise Unsupported(f"{self.arguments.owner} keeps no {name!r} in its param_groups")
                        group[name] = value

    def _write(self, number: int, values: Array) -> None:
        parameter = self.parameters[number]
        if parameter is not None:
            with torch.no_grad():
                parameter.copy_(self._tensor(values, number))

    def _hand(self, step: int, scale: float) -> Handed:
        """Put the gradients of a step in place."""
        return [
            (number, *self._give_gradient(parameter, number, step, scale))
            for number, parameter in enumerate(self.parameters)
            if parameter is not None
        ]

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
        if self.problem.use == "graph":
            name = self.arguments.names["lr"]
            keywords[name] = torch.tensor(keywords[name], device=self.device)
        return self.loaded(parameters, **{**keywords, **self.settings.get("arguments", {}), **self.options})

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
        data = self._tensor(tensor.start if values is None else values, number)
        if tensor.strided and data.ndim:
            data, between = _strided(data)
            self.padding.append((number, between))
        if tensor.transposed == "parameter":
            data = _transposed(data)
        if tensor.expanded == "parameter":
            data, beside = _expanded(data)
            self.padding.append((number, beside))
        parameter = torch.nn.Parameter(data)
        self.parameters[number] = parameter
        return parameter

    def _tensor(self, values: Array, number: int) -> torch.Tensor:
        dtype = getattr(torch, self.problem.tensors[number].dtype or self.problem.dtype)
        return torch.tensor(values, dtype=torch.float64).to(dtype).to(self.device)

    def _give_gradient(
        self, parameter: torch.nn.Parameter, number: int, step: int, scale: float
    ) -> tuple[torch.Tensor | None, Array | None]:
        tensor = self.problem.tensors[number]
        g = tensor.gradients[step - tensor.joins_at]
        if g is None and self.problem.use == "scaler":
            g = np.full(tensor.start.shape, np.inf)
        if g is None:
            parameter.grad = None
            return None, None
        given = self._tensor(g, number)
        if scale != 1:
            given = given * scale
        if tensor.strided and given.ndim:
            given, _ = _strided(given)
        if tensor.transposed == "gradient":
            given = _transposed(given)
        if tensor.expanded == "gradient":
            given, _ = _expanded(given)
        if tensor.sparse:
            parameter.grad = given.to_sparse()
            return None, None
        if self.problem.use in ("accumulated", "graph") and parameter.grad is not None:
            with torch.no_grad():
                parameter.grad.zero_()
                for part in (0.5, 0.25, 0.25):
                    parameter.grad.add_(given, alpha=part)
            return parameter.grad, np.asarray(g, dtype=np.float64)
        parameter.grad = given
        return given, np.asarray(g, dtype=np.float64)

    def _resume(self, optimizer: Any, step: int) -> Any:
        """Save to bytes, load into a new optimizer of copied parameters, as a restarted training does."""
        state = MEDIA[self.problem.medium](optimizer.state_dict(), self.device)
        values = [None if p is None else _values(p) for p in self.parameters]
        layout = list(zip(self.added, self.joined, strict=True))
        self.added, self.joined, self.padding = [], [], []
        new: Any = None
        for index, numbers in layout:
            group = self.problem.groups[index]
            if self.problem.rebuilt_otherwise:
                group = replace(group, hyper=otherwise(group.hyper))
            if new is None:
                new = self._construct(group, numbers, index, step)
            else:
                self._add(new, index, numbers, step)
        new.load_state_dict(state)
        for number, value in enumerate(values):
            if value is not None:
                self._write(number, value)
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
            {
                ours: _values(optimizer.state[p][theirs])
                for ours, theirs in names.items()
                if optimizer.state[p].get(theirs) is not None  # without beta1 some keep None in place of the fast one
            }
            for p in self.parameters
            if p is not None
        )


def _values(tensor: torch.Tensor) -> Array:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy().copy()


def _transposed(data: torch.Tensor) -> torch.Tensor:
    """The same values, with the last axis outermost in memory."""
    return data.mT.contiguous().mT


def _expanded(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first value along the last axis, standing for all of them, and the memory after it, which holds NaN."""
    memory = torch.full((*data.shape[:-1], 2 * data.shape[-1]), float("nan"), dtype=data.dtype, device=data.device)
    memory[..., :1] = data[..., :1]
    return memory[..., :1].expand(data.shape), memory[..., 1:]


def _strided(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same values in every second place of a larger memory, and the places between them, which hold NaN."""
    memory = torch.full((*data.shape[:-1], 2 * data.shape[-1]), float("nan"), dtype=data.dtype, device=data.device)
    memory[..., ::2] = data
    return memory[..., ::2], memory[..., 1::2]
