"""The torch protocol: a `torch.optim.Optimizer` subclass, handed parameters with gradients as a training loop would.

Its constructor takes ``params`` and, under any of the names in `arguments.ALIASES`, the learning rate, the
decays, alpha, eps, the weight decay and the warm-ups. Learning rates are set through ``param_groups``, as torch's
schedulers do. For the switch from AdamW it may offer
``from_adamw(adamw: torch.optim.AdamW, **hyperparameters) -> optimizer`` as a class method.
"""

from __future__ import annotations

import functools
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from conformance.ademamix.harness import ranks
from conformance.ademamix.harness.arguments import OptimizerArguments, construct
from conformance.ademamix.harness.checkpointing import SAVED_AS
from conformance.ademamix.harness.problem import (
    Array,
    Huge,
    OptimizerLoad,
    OptimizerProblem,
    Running,
    RunOutcome,
    TensorProblem,
)  # fmt: skip
from conformance.ademamix.harness.run_loop import Job, OptimizerBackend, OptimizerPlug
from conformance.ademamix.harness.torch_usage import WithClosure, loop_of, option_arguments
from impls.implementation import Unsupported
from impls.triton_support import choose_interpreter
from reference.ademamix import Hyperparameters

choose_interpreter()


class TorchBackend(OptimizerBackend):
    """Runs a torch optimizer on a device, the way of `OptimizerProblem.use`."""

    optimizer: Any

    def __init__(self, plug: OptimizerPlug, problem: OptimizerProblem) -> None:
        super().__init__(plug, problem)
        self.device = torch.device(plug.device)
        self.arguments = OptimizerArguments.of(plug.loaded, plug.settings.get("names", {}))
        self.parameters: dict[int, torch.nn.Parameter] = {}
        self.padding: list[tuple[int, torch.Tensor]] = []
        self.handed: dict[int, torch.Tensor] = {}
        self.loop = loop_of(problem.use, plug.device)
        if isinstance(self.loop, WithClosure):
            self.closures = self.loop.seen
        self.options = option_arguments(plug.loaded, problem.options)

    def refuse(self) -> None:
        """Nothing: torch supports every problem."""

    def always_warms_up(self) -> bool:
        return bool({"t_alpha", "t_beta3", "t_both"} & set(self.arguments.names))

    def build(self, step: int) -> None:
        self.padding = []
        (index, numbers), *others = self.layout
        parameters, rate = [self._parameter(n) for n in numbers], self.problem.groups[index].learning_rates[0]
        h = self.hyper_for(index, step)
        if self.is_adamw(step):
            self.optimizer = torch.optim.AdamW(
                parameters, lr=rate, betas=(h.beta1, h.beta2), eps=h.eps, weight_decay=h.weight_decay
            )
        else:
            keywords = self.arguments.keywords(h, rate)
            if self.problem.use == "graph" or self.problem.rate_tensors:
                name = self.arguments.names["lr"]
                keywords[name] = torch.tensor(keywords[name], device=self.device)
            arguments = {**keywords, **self.plug.settings.get("arguments", {}), **self.options}
            self.optimizer = self._constructed(parameters, arguments, h)
        for index, numbers in others:
            self._add_group(index, numbers, step)

    def _constructed(self, parameters: Any, arguments: dict[str, Any], hyper: Hyperparameters) -> Any:
        """The optimizer. Unsupported where its constructor refuses these settings and takes the published ones."""
        try:
            return self.plug.loaded(parameters, **arguments)
        except (ValueError, TypeError, AssertionError) as error:
            usual = replace(hyper, beta1=0.9, beta2=0.999, beta3=0.9999, alpha=5.0, eps=1e-8)
            keywords = self.arguments.keywords(usual, 1e-3)
            try:
                self.plug.loaded(parameters, **{**keywords, **self.plug.settings.get("arguments", {}), **self.options})
            except Exception:
                raise error from None
            raise Unsupported(f"{self.arguments.owner} refuses these settings: {error}") from None

    def _add_group(self, index: int, numbers: list[int], step: int) -> None:
        keywords = self.arguments.keywords(self.hyper_for(index, step), self.problem.groups[index].learning_rates[step])
        first = self.layout[0][0]
        same = self.arguments.keywords(self.hyper_for(first, step), self.problem.groups[first].learning_rates[0])
        for name, value in keywords.items():
            if name not in self.optimizer.defaults and same[name] != value:
                raise Unsupported(f"{self.arguments.owner} takes no {name!r} per parameter group")
        known = {name: value for name, value in keywords.items() if name in self.optimizer.defaults}
        if self.problem.rate_tensors and "lr" in known:
            known["lr"] = torch.tensor(known["lr"], device=self.device)
        self.optimizer.add_param_group({"params": [self._parameter(n) for n in numbers], **known})

    def _parameter(self, number: int) -> torch.nn.Parameter:
        tensor = self.problem.tensors[number]
        data = self._tensor(tensor.start, tensor)
        for asked, lay_out in (
            (tensor.strided and data.ndim, _strided),
            (tensor.offset, _at_an_offset),
            (tensor.transposed == "parameter", _transposed),
            (tensor.expanded == "parameter", _expanded),
        ):
            if asked:
                data, between = lay_out(data)
                self.padding.append((number, between))
        self.parameters[number] = torch.nn.Parameter(data)
        return self.parameters[number]

    def _tensor(self, values: Any, tensor: TensorProblem) -> torch.Tensor:
        dtype = getattr(torch, tensor.dtype or self.problem.dtype)
        return torch.tensor(values, dtype=torch.float64).to(dtype).to(self.device)

    def switch(self, step: int) -> None:
        if not hasattr(self.plug.loaded, "from_adamw"):
            raise Unsupported(f"{self.arguments.owner} has no class method from_adamw(adamw, **hyperparameters)")
        group = self.problem.groups[0]
        keywords = self.arguments.keywords(group.hyper, group.learning_rates[0])
        self.optimizer = self.plug.loaded.from_adamw(self.optimizer, **keywords)

    def save(self) -> Any:
        return SAVED_AS[self.problem.saved_as](self.optimizer.state_dict(), self.device)

    def load(self, state: Any) -> None:
        self.optimizer.load_state_dict(state)

    def duplicate(self, duplicated: Callable[[Any], Any]) -> None:
        """The duplicate has parameters of its own, with which the run goes on. What lay between the old ones is let go."""
        self.finish()
        try:
            self.optimizer = duplicated(self.optimizer)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise Unsupported(f"{self.arguments.owner} cannot be duplicated: {error}") from None
        self.padding = []
        groups = self.optimizer.param_groups
        self.parameters = {number: groups[place]["params"][slot] for number, (place, slot) in self.places.items()}

    def add(self, index: int, number: int, step: int) -> None:
        self._add_group(index, [number], step)

    def change(self, index: int, step: int) -> None:
        """Where torch's schedulers would: in ``param_groups``."""
        group = self.problem.groups[index]
        before, now = (self.arguments.keywords(group.hyper_at(at), group.learning_rates[step]) for at in (step - 1, step))
        for (own, _), kept in zip(self.layout, self.optimizer.param_groups, strict=True):
            for name, value in now.items() if own == index else ():
                if value != before[name]:
                    if name not in kept:
                        raise Unsupported(f"{self.arguments.owner} keeps no {name!r} in its param_groups")
                    kept[name] = value

    def advance(self, step: int) -> None:
        for (index, _), group, rate in zip(self.layout, self.optimizer.param_groups, self.rates(step), strict=True):
            if "lr" not in group and len(set(self.problem.groups[index].learning_rates)) > 1:
                raise Unsupported(f"{self.arguments.owner} keeps no 'lr' in its param_groups; it cannot change per step")
            if isinstance(group.get("lr"), torch.Tensor):
                group["lr"].fill_(rate)  # what a captured graph reads
            else:
                group["lr"] = rate
        self.loop.advance(self.optimizer, functools.partial(self._hand, step))

    def _hand(self, step: int, scale: float) -> None:
        """Put the gradients of a step in place."""
        self.handed = {}
        for number, parameter in self.parameters.items():
            tensor = self.problem.tensors[number]
            g = tensor.gradients[step - tensor.joins_at]
            if g is None and self.problem.use == "scaler":
                g = np.full(tensor.start.shape, np.inf)
            if g is None:
                parameter.grad = None
            else:
                self._give(number, parameter, self._laid_out(self._tensor(g, tensor) * scale, tensor))

    def _laid_out(self, g: torch.Tensor, tensor: TensorProblem) -> torch.Tensor:
        if tensor.strided and g.ndim:
            g, _ = _strided(g)
        if tensor.offset:
            g, _ = _at_an_offset(g)
        if tensor.transposed == "gradient":
            g, _ = _transposed(g)
        if tensor.expanded == "gradient":
            g, _ = _expanded(g)
        return g.to_sparse() if tensor.sparse else g

    def _give(self, number: int, parameter: torch.nn.Parameter, g: torch.Tensor) -> None:
        if self.problem.use in ("accumulated", "graph") and parameter.grad is not None:
            with torch.no_grad():
                parameter.grad.zero_()
                for part in (0.5, 0.25, 0.25):
                    parameter.grad.add_(g, alpha=part)
        else:
            parameter.grad = g
        # A scaler unscales gradients in their own memory.
        if not g.is_sparse and self.problem.use != "scaler":
            self.handed[number] = parameter.grad

    def given(self) -> Iterator[tuple[int, Array]]:
        return ((number, _values(g)) for number, g in self.handed.items())

    def read(self, number: int) -> Array:
        return _values(self.parameters[number])

    def write(self, number: int, values: Array) -> None:
        with torch.no_grad():
            self.parameters[number].copy_(self._tensor(values, self.problem.tensors[number]))

    def moments(self) -> tuple[Mapping[str, Array], ...]:
        names = self.plug.settings.get("moments", {})
        states = (self.optimizer.state[self.parameters[number]] for number in sorted(self.parameters if names else ()))
        return tuple(
            # without beta1 some keep None in place of the fast one
            {ours: _values(state[theirs]) for ours, theirs in names.items() if state.get(theirs) is not None}
            for state in states
        )

    def finish(self) -> None:
        touched = [number for number, slots in self.padding if not bool(torch.isnan(slots).all())]
        if touched:
            raise AssertionError(f"wrote between the elements of non-contiguous parameters {touched}")

    @classmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        """Gradients are given again where the optimizer takes them away."""

        def tensor(values: Any) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32).to(getattr(torch, load.dtype)).to(plug.device)

        parameters = [torch.nn.Parameter(tensor(values)) for values in load.starts]
        gradients = [tensor(values) for values in load.gradients]
        optimizer = construct(plug.loaded, plug.settings, parameters, load.hyper, load.learning_rate)

        def step() -> None:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if parameter.grad is None:
                    parameter.grad = gradient
            optimizer.step()

        return Running(
            step, lambda: [_values(p) for p in parameters], lambda tensor, index: float(parameters[tensor].data[index])
        )

    @classmethod
    def in_processes(cls, plug: OptimizerPlug, jobs: Sequence[Job], wanted: int) -> RunOutcome:
        return ranks.run(plug.target, plug.settings, tuple(jobs), wanted)

    @classmethod
    def sampled(cls, plug: OptimizerPlug, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        from conformance.ademamix.harness import large_tensors

        return large_tensors.sampled(plug.loaded, plug.settings, plug.device, huge)


def _values(tensor: torch.Tensor) -> Array:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy().copy()


def _transposed(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same values, with the last axis outermost in memory; nothing lies between them."""
    return data.mT.contiguous().mT, data.new_empty(0)


def _expanded(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The first value along the last axis, expanded over it, and the memory after that value, which holds NaN."""
    memory = torch.full((*data.shape[:-1], 2 * data.shape[-1]), float("nan"), dtype=data.dtype, device=data.device)
    memory[..., :1] = data[..., :1]
    return memory[..., :1].expand(data.shape), memory[..., 1:]


def _at_an_offset(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same values from the fourth place of a larger memory on, and what lies around them, which holds NaN."""
    memory = torch.full((data.numel() + 8,), float("nan"), dtype=data.dtype, device=data.device)
    inside = memory[3 : 3 + data.numel()].view(data.shape)
    around = torch.as_strided(memory, (2, 3), (data.numel() + 3, 1))
    return inside.copy_(data), around


def _strided(data: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same values in every second place of a larger memory, and the places between them, which hold NaN."""
    memory = torch.full((*data.shape[:-1], 2 * data.shape[-1]), float("nan"), dtype=data.dtype, device=data.device)
    memory[..., ::2] = data
    return memory[..., ::2], memory[..., 1::2]
