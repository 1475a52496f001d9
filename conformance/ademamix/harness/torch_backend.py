"""The torch protocol: a `torch.optim.Optimizer` subclass, handed parameters with gradients as a training loop would.

Its constructor takes ``params`` and, under any of the names in `arguments.ALIASES`, the learning rate, the
decays, alpha, eps, the weight decay and the warm-ups. Learning rates are set through ``param_groups``, as torch's
schedulers do. For the switch from AdamW it may offer
``from_adamw(adamw: torch.optim.AdamW, **hyperparameters) -> optimizer`` as a class method.
"""

from __future__ import annotations

import contextlib
import functools
import math
import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from conformance.ademamix.harness import ranks
from conformance.ademamix.harness.arguments import OptimizerArguments, construct
from conformance.ademamix.harness.checkpointing import CHANGES, through_safetensors, through_torch
from conformance.ademamix.harness.layouts import layout_of, relaid
from conformance.ademamix.harness.problem import (
    Array,
    Huge,
    OptimizerLoad,
    OptimizerProblem,
    Running,
    RunOutcome,
    TensorProblem,
    constructor_options,
)  # fmt: skip
from conformance.ademamix.harness.run_loop import Job, OptimizerBackend, OptimizerPlug
from conformance.ademamix.harness.torch_usage import WithClosure, loop_of, option_arguments
from conformance.engine.signatures import parameters_of
from impls.implementation import Unsupported
from impls.triton_support import choose_interpreter
from reference.ademamix.hyperparameters import Hyperparameters

choose_interpreter()


REFUSALS = (ValueError, TypeError, AssertionError, ArithmeticError)
"""What a constructor raises at settings that it does not take."""


class TorchBackend(OptimizerBackend):
    """Runs a torch optimizer on a device, the way of `OptimizerProblem.use`."""

    optimizer: Any

    def __init__(self, plug: OptimizerPlug, problem: OptimizerProblem) -> None:
        super().__init__(plug, problem)
        self.device = torch.device(plug.device)
        self.arguments = OptimizerArguments.of(plug.loaded, plug.settings.get("names", {}))
        self.parameters: dict[int, torch.nn.Parameter] = {}
        self.memory: dict[int, int] = {}
        self.left: set[int] = set()
        self.padding: list[tuple[int, torch.Tensor, Any]] = []
        self.relaid = False
        self.handed: dict[int, torch.Tensor] = {}
        self.loop = loop_of(problem.use, plug.device)
        if isinstance(self.loop, WithClosure):
            self.closures = self.loop.seen
        self.options = constructor_options(option_arguments(plug.loaded, problem.options))

    def refuse(self) -> None:
        """Nothing: torch supports every problem."""

    def always_warms_up(self) -> bool:
        return bool({"t_alpha", "t_beta3", "t_both"} & set(self.arguments.names))

    def build(self, step: int) -> None:
        self.left.update(self.moved())
        self.padding, self.relaid = [], step > 0 and self.problem.relaid
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
            maximize = {"maximize": True} if self.problem.groups[index].maximize and self._knows_maximize else {}
            arguments = {**keywords, **maximize, **self.plug.settings.get("arguments", {}), **self.options}
            self.optimizer = self._constructed(parameters, arguments, h)
        for index, numbers in others:
            self._add_group(index, numbers, step)

    def _constructed(self, parameters: Any, arguments: dict[str, Any], hyper: Hyperparameters) -> Any:
        """The optimizer. Unsupported where its constructor refuses these settings and takes the published ones."""
        try:
            return self.plug.loaded(parameters, **arguments)
        except REFUSALS as error:
            raise self._of_settings(error, hyper) or error from None

    def _of_settings(self, error: Exception, hyper: Hyperparameters) -> Unsupported | None:
        """Unsupported where the constructor refuses these settings, and takes the published ones with such warm-ups."""
        usual = replace(hyper, beta1=0.9, beta2=0.999, beta3=0.9999, alpha=5.0, eps=1e-8)
        whole = replace(usual, **{n: math.ceil(t) for n in ("t_alpha", "t_beta3") if (t := getattr(hyper, n))})
        if not self._takes(hyper) and (self._takes(usual) or self._takes(whole)):
            return Unsupported(f"{self.arguments.owner} refuses these settings: {error}")
        return None

    def _takes(self, hyper: Hyperparameters) -> bool:
        """Whether the constructor takes such settings, for any parameter."""
        arguments = {**self.arguments.keywords(hyper, 1e-3), **self.plug.settings.get("arguments", {}), **self.options}
        try:
            self.plug.loaded([torch.nn.Parameter(torch.zeros(2, device=self.device))], **arguments)
        except Exception:
            return False
        return True

    def _add_group(self, index: int, numbers: list[int], step: int) -> None:
        keywords = self.arguments.keywords(self.hyper_for(index, step), self.problem.groups[index].learning_rates[step])
        first = self.layout[0][0]
        same = self.arguments.keywords(self.hyper_for(first, step), self.problem.groups[first].learning_rates[0])
        for name, value in keywords.items():
            if name not in self.optimizer.defaults and same[name] != value:
                raise Unsupported(f"{self.arguments.owner} takes no {name!r} per parameter group")
        known = {name: value for name, value in keywords.items() if name in self.optimizer.defaults}
        if "maximize" in self.optimizer.defaults and not self.options:
            known["maximize"] = self.problem.groups[index].maximize
        try:
            self.optimizer.add_param_group({"params": [self._parameter(n) for n in numbers], **known})
        except REFUSALS as error:
            raise self._of_settings(error, self.hyper_for(index, step)) or error from None
        if self.problem.rate_tensors and "lr" in self.optimizer.param_groups[-1]:
            # one of its own: what the constructor was given may be shared by all groups
            rate = self.problem.groups[index].learning_rates[step]
            self.optimizer.param_groups[-1]["lr"] = torch.tensor(rate, device=self.device)

    def _parameter(self, number: int) -> torch.nn.Parameter:
        tensor = self.problem.tensors[number]
        data, layout = self._tensor(tensor.start, tensor), tensor.layout
        if self.relaid:
            layout = relaid(layout)
        if layout:
            data = laid_out(data, layout)
            memory = data.as_strided((data.untyped_storage().nbytes() // data.element_size(),), (1,), 0)
            self.padding.append((number, memory, layout_of(layout, data.shape).unused(data.shape)))
        self.parameters[number] = torch.nn.Parameter(data)
        self.memory[number] = self.parameters[number].data_ptr()
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
        how = self.problem.saved_as
        if how == "hooked":
            self.optimizer.register_state_dict_post_hook(lambda _, state: {"wrapped": state})
        through = through_safetensors if how == "plain" else through_torch
        state = through(self.optimizer.state_dict(), self.device)
        if how in CHANGES:
            shapes = [self.problem.tensors[n].start.shape for _, numbers in self.layout for n in numbers]
            state = CHANGES[how](state, shapes)
        return state

    def load(self, state: Any) -> None:
        if self.problem.saved_as == "hooked":
            self.optimizer.register_load_state_dict_pre_hook(lambda _, given: given["wrapped"])
        self.optimizer.load_state_dict(state)

    def duplicate(self, duplicated: Callable[[Any], Any]) -> None:
        """The duplicate has parameters of its own, with which the run goes on. What lay between the old ones is let go."""
        self.finish()
        try:
            duplicate = duplicated(self.optimizer)
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise Unsupported(f"{self.arguments.owner} cannot be duplicated: {error}") from None
        self.spend()  # the old one goes its own way
        self.left.update(self.moved())
        self.optimizer, self.padding = duplicate, []
        groups = self.optimizer.param_groups
        self.parameters = {number: groups[place]["params"][slot] for number, (place, slot) in self.places.items()}
        self.memory = {number: parameter.data_ptr() for number, parameter in self.parameters.items()}

    def spend(self) -> None:
        for parameter in self.parameters.values():
            parameter.grad = torch.full_like(parameter, 3.0)
        self.optimizer.step()

    def rearrange(self, what: str) -> None:
        groups = self.optimizer.param_groups
        if what == "groups reversed":
            groups.reverse()
        for (_, numbers), group in zip(self.layout, groups, strict=True):
            listed, state = group["params"], self.optimizer.state
            if what == "parameters reversed":
                listed.reverse()
            elif what == "removed":
                state.pop(listed.pop(), None)
            elif what == "replaced":
                old, new = listed[0], torch.nn.Parameter(listed[0].detach().clone())
                if old in state:
                    state[new] = state.pop(old)
                listed[0] = self.parameters[numbers[0]] = new
                self.memory[numbers[0]] = new.data_ptr()

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
            if not isinstance(group.get("lr"), torch.Tensor):
                group["lr"] = rate
            elif self.problem.rate_tensors == "replaced":
                group["lr"] = torch.tensor(rate, device=self.device)
            else:
                group["lr"].fill_(rate)  # what a captured graph reads
        with torch.no_grad() if self.problem.within == "no_grad" else contextlib.nullcontext():
            self.loop.advance(self.optimizer, functools.partial(self._hand, step))

    def _hand(self, step: int, scale: float) -> None:
        """Put the gradients of a step in place."""
        self.handed = {}
        for number, parameter in self.parameters.items():
            tensor = self.problem.tensors[number]
            g = self.gradient(number, step)
            if g is None and self.problem.use == "scaler":
                g = np.full(tensor.start.shape, np.inf)
            if g is None:
                parameter.grad = None
            else:
                sign = -1 if self._hands_reversed(number) else 1
                self._give(number, parameter, self._laid_out(self._tensor(g, tensor) * (sign * scale), tensor))

    @property
    def _knows_maximize(self) -> bool:
        return "maximize" in parameters_of(self.plug.loaded)

    def _hands_reversed(self, number: int) -> bool:
        """Whether a group is to maximize, and the optimizer has no such argument, or has it for all groups alike."""
        if not any(group.maximize for group in self.problem.groups):
            return False
        place, _ = self.places.get(number, (0, 0))
        does = self._knows_maximize and self.problem.groups[self.layout[0][0]].maximize
        if place < len(self.optimizer.param_groups):
            does = bool(self.optimizer.param_groups[place].get("maximize", does))
        return self.problem.groups[self.problem.group_of[number]].maximize is not does

    def _laid_out(self, g: torch.Tensor, tensor: TensorProblem) -> torch.Tensor:
        g = laid_out(g, tensor.gradient_layout) if tensor.gradient_layout else g
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
        return ((number, -_values(g) if self._hands_reversed(number) else _values(g)) for number, g in self.handed.items())

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

    def moved(self) -> Iterator[int]:
        now = {number for number, place in self.memory.items() if self.parameters[number].data_ptr() != place}
        return iter(sorted(self.left | now))

    def finish(self) -> None:
        touched = [number for number, memory, unused in self.padding if not bool(torch.isnan(memory[unused]).all())]
        if touched:
            raise AssertionError(f"wrote between the elements of non-contiguous parameters {touched}")

    @classmethod
    def start(cls, plug: OptimizerPlug, load: OptimizerLoad) -> Running:
        """Gradients are given again where the optimizer takes them away."""

        def tensor(values: Any) -> torch.Tensor:
            return torch.tensor(values, dtype=torch.float32).to(getattr(torch, load.dtype)).to(plug.device)

        parameters = [torch.nn.Parameter(tensor(values)) for values in load.starts]
        choice = [[tensor(values) for values in each] for each in (load.gradients, load.others) if len(each)]
        gradients = list(choice[0])
        optimizer = construct(plug.loaded, plug.settings, parameters, load.hyper, load.learning_rate)

        def step() -> None:
            for parameter, gradient in zip(parameters, gradients, strict=True):
                if parameter.grad is None:
                    parameter.grad = gradient
            optimizer.step()

        def feed(which: int, learning_rate: float | None) -> None:
            gradients[:] = choice[which]
            for parameter, gradient in zip(parameters, gradients, strict=True):
                parameter.grad = gradient
            for group in optimizer.param_groups:
                group["lr"] = group["lr"] if learning_rate is None else learning_rate

        return Running(
            step, lambda: [_values(p) for p in parameters], lambda tensor, index: parameters[tensor].data[index].clone(), feed
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


def laid_out(data: torch.Tensor, name: str) -> torch.Tensor:
    """The same values in that layout, NaN between and around them. Where places are shared, all values there are equal."""
    layout = layout_of(name, data.shape)
    memory = torch.full((layout.size,), float("nan"), dtype=data.dtype, device=data.device)
    memory[torch.from_numpy(layout.places(data.shape).ravel()).to(data.device)] = data.ravel()
    return memory.as_strided(data.shape, layout.strides, layout.offset)
