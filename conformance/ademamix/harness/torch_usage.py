"""The ways in which a torch training loop calls an optimizer: with a closure, behind a GradScaler, compiled, in a graph."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch

from conformance.engine.signatures import parameters_of
from impls.implementation import NotRun, Unsupported

Hand = Callable[[float], None]
"""Puts the gradients of a step in place, multiplied by a scale."""

INITIAL_SCALE = 2.0**10
WARM_UP_STEPS = 3
"""Steps before a CUDA graph is captured, as its documentation advises; they are steps of the run."""


class Loop:
    """The plain loop: gradients, then ``step()``."""

    def advance(self, optimizer: Any, hand: Hand) -> None:
        hand(1.0)
        optimizer.step()


class WithClosure(Loop):
    """``step(closure)``. ``seen`` keeps what each call did, for the check."""

    def __init__(self) -> None:
        self.seen: list[tuple[int, bool, bool]] = []

    def advance(self, optimizer: Any, hand: Hand) -> None:
        if not inspect.signature(optimizer.step).parameters:
            raise Unsupported(f"{type(optimizer).__name__}.step takes no closure")
        for group in optimizer.param_groups:
            for parameter in group["params"]:
                parameter.grad = None
        calls: list[bool] = []
        loss = torch.tensor(float(len(self.seen) + 1))

        def closure() -> torch.Tensor:
            calls.append(torch.is_grad_enabled())
            hand(1.0)
            return loss

        returned = optimizer.step(closure)
        came_back = returned is not None and float(returned) == float(loss)
        self.seen.append((len(calls), bool(calls) and all(calls), came_back))


class Scaled(Loop):
    """Loss scaling as `torch.amp.GradScaler` does it. The scale is a power of two, so that unscaling is exact."""

    def __init__(self, device: str) -> None:
        # No growth within a run; each overflow halves the scale.
        self.scaler = torch.amp.GradScaler(device, init_scale=INITIAL_SCALE, growth_interval=10**6)
        self.one = torch.ones((), device=device)

    def advance(self, optimizer: Any, hand: Hand) -> None:
        self.scaler.scale(self.one)  # makes the scale, which is lazy
        hand(self.scaler.get_scale())
        self.scaler.step(optimizer)
        self.scaler.update()


class Compiled(Loop):
    """``torch.compile(optimizer.step)``, through Dynamo alone: what is tested is that the step can be captured."""

    def __init__(self) -> None:
        self.steps: dict[int, Callable[[], Any]] = {}

    def advance(self, optimizer: Any, hand: Hand) -> None:
        hand(1.0)
        if id(optimizer) not in self.steps:
            torch.compiler.reset()
            self.steps = {id(optimizer): torch.compile(optimizer.step, backend="eager")}
        self.steps[id(optimizer)]()


class Graph(Loop):
    """A CUDA graph of one step, captured after a few and replayed. Gradients keep their memory."""

    def __init__(self, device: str) -> None:
        if device != "cuda" or not torch.cuda.is_available():
            raise NotRun("CUDA graphs need a CUDA device; see --device cuda")
        self.stream: Any = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        self.graph: Any = None
        self.steps = 0

    def advance(self, optimizer: Any, hand: Hand) -> None:
        hand(1.0)
        self.steps += 1
        if self.steps <= WARM_UP_STEPS:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                optimizer.step()
            torch.cuda.current_stream().wait_stream(self.stream)
            return
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                optimizer.step()  # recorded, not run
        self.graph.replay()
        torch.cuda.synchronize()


def loop_of(use: str, device: str) -> Loop:
    """The loop of that use; see `conformance.ademamix.harness.problem.OptimizerProblem`."""
    makers: dict[str, Callable[[], Loop]] = {
        "closure": WithClosure,
        "scaler": lambda: Scaled(device),
        "compiled": Compiled,
        "graph": lambda: Graph(device),
    }
    return makers.get(use, Loop)()


def option_arguments(constructor: Any, options: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The constructor's further arguments; Unsupported where it does not know one."""
    known = parameters_of(constructor)
    for name, _ in options:
        if name not in known:
            raise Unsupported(f"{getattr(constructor, '__name__', constructor)} takes no argument {name!r}")
    return dict(options)
