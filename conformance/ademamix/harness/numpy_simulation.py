"""Simulate torch's training loops and ranks on NumPy optimizers, so that mutants can have bugs in them.

An optimizer of the NumPy protocol has no closure, GradScaler, graph or ranks, and is not tested on them; mutants are. Each
method here does what the framework would do, unless the optimizer has a method of that name, which replaces it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ademamix.harness.layouts import SHARING, array_of, relaid
from conformance.ademamix.harness.numpy_backend import NumpyBackend, as_hyper
from conformance.ademamix.harness.problem import (
    RESHAPED,
    Array,
    Huge,
    OptimizerProblem,
    RunOutcome,
    TensorProblem,
    constructor_options,
)
from conformance.ademamix.harness.run_loop import Job, OptimizerPlug
from impls.implementation import Unsupported

SMALLER = 2**16
"""How many times smaller a simulated huge tensor is."""


class SparseGradient:
    """A gradient of which only some elements are given, as embeddings have."""

    def __init__(self, dense: Array) -> None:
        self.places = np.nonzero(dense)
        self.values = dense[self.places]
        self.shape = dense.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("found a sparse gradient, expected a dense one")


class SimulatedBackend(NumpyBackend):
    """`NumpyBackend` with what only torch has."""

    bucket = False
    """Whether gradients are views at offsets of their own, as torch's data-parallel wrapper has them."""

    def __init__(self, plug: OptimizerPlug, problem: OptimizerProblem) -> None:
        super().__init__(plug, problem)
        self.reused: dict[int, Any] = {}
        self.closures: list[tuple[int, bool, bool]] = []
        known = inspect.signature(plug.loaded).parameters
        self.reverses = dict(problem.options).get("maximize") is True and "maximize" not in known
        """Whether gradients are reversed on the way, as the framework's maximize does it."""
        self.ascends = all(group.maximize for group in problem.groups) and "maximize" in known
        """Whether the optimizer reverses those of all groups."""
        self.relaid = False
        self.gone: list[Any] = []

    @property
    def options(self) -> dict[str, Any]:
        options = constructor_options(super().options)
        if self.reverses:
            del options["maximize"]
        return {**options, "maximize": True} if self.ascends else options

    def build(self, step: int) -> None:
        self.relaid = step > 0 and self.problem.relaid
        super().build(step)
        self._tell_groups()

    def add(self, index: int, number: int, step: int) -> None:
        super().add(index, number, step)
        self._tell_groups()

    def _tell_groups(self) -> None:
        """Tell an optimizer with ``flags`` which groups are to maximize, and one with ``rates_as`` about tensors."""
        if hasattr(self.optimizer, "flags"):
            self.optimizer.flags = [self.problem.groups[index].maximize for index, _ in self.layout]
        if hasattr(self.optimizer, "rates_as"):
            self.optimizer.rates_as = self.problem.rate_tensors

    def start_of(self, number: int) -> Array:
        layout = self.problem.tensors[number].layout
        start: Array = array_of(relaid(layout) if self.relaid else layout, self.problem.tensors[number].start)
        return start

    def sign(self, number: int) -> int:
        return 1 if self.ascends or hasattr(self.optimizer, "flags") else super().sign(number)

    def moved(self) -> Iterator[int]:
        """Those of which an optimizer with ``leaves`` says that a parameter in this layout leaves its memory."""
        leaves = getattr(self.optimizer, "leaves", lambda layout: False)
        return (number for number, tensor in enumerate(self.problem.tensors) if leaves(tensor.layout))

    def rearrange(self, what: str) -> None:
        if what == "removed":
            self.gone = [parameters[-1] for parameters, _ in self.optimizer.groups]
        getattr(self.optimizer, "rearrange", functools.partial(rearrange, self.optimizer))(what)

    def read(self, number: int) -> Array:
        if number in self.removed:
            return np.array(self.gone[self.removed.index(number)], dtype=np.float64)
        return super().read(number)

    def refuse(self) -> None:
        if any(t.layout in SHARING for t in self.problem.tensors):
            raise Unsupported("parameters are copied on construction, so that none shares its memory")
        for name in self.options:
            if name not in inspect.signature(self.plug.loaded).parameters:
                raise Unsupported(f"{self.plug.loaded.__name__} takes no argument {name!r}")

    def outcome(self) -> RunOutcome:
        """Tensors of several dtypes in one group run one by one, which is right, since tensors share nothing.

        A mutant may have ``dtype_of(own, first)``: the dtype that it takes such a tensor to have.
        """
        problem = self.problem
        if not any(tensor.dtype for tensor in problem.tensors):
            return super().outcome()
        dtype_of = getattr(self.plug.loaded, "dtype_of", lambda own, first: own)
        first = problem.tensors[0].dtype or problem.dtype
        histories: list[tuple[Array, ...]] = []
        closures: tuple[tuple[int, bool, bool], ...] = ()
        for number, tensor in enumerate(problem.tensors):
            group = replace(problem.groups[problem.group_of[number]], tensors=(replace(tensor, dtype=""),))
            alone = replace(problem, dtype=dtype_of(tensor.dtype or problem.dtype, first), groups=(group,))
            found = SimulatedBackend(self.plug, alone).outcome()
            histories += found.parameters
            closures = found.closures
        return RunOutcome(tuple(histories), closures=closures)

    def load(self, state: Any) -> None:
        how = self.problem.saved_as
        if how == "wider" or how in RESHAPED:
            state = self._changed(state, RESHAPED.get(how, lambda moment: moment.astype(np.float64)))
        load = {"hooked": "load_hooked", "without options": "load_without_options"}.get(how, "load")
        getattr(self.optimizer, load, self.optimizer.load)(state)
        if self.problem.rebuilt_otherwise:
            before = (self.problem.resume_after or 1) - 1
            saved = [as_hyper(self.problem.groups[index].hyper_at(before)) for index, _ in self.layout]
            getattr(self.optimizer, "load_hyperparameters", self._load_hyperparameters)(saved)

    def _changed(self, state: Any, change: Callable[[Array], Array]) -> Any:
        """Every moment changed. ValueError where it does not fit any more, unless the optimizer ``takes_any_shape``."""
        for group, (parameters, _) in zip(state, self.optimizer.groups, strict=True):
            for kept, theta in zip(group, parameters, strict=True):
                for name in ("m1", "m2", "nu"):
                    setattr(kept, name, change(getattr(kept, name)))
                    if getattr(kept, name).shape != theta.shape and not hasattr(self.optimizer, "takes_any_shape"):
                        raise ValueError(f"{name} has shape {getattr(kept, name).shape}, expected {theta.shape}")
        return state

    def _load_hyperparameters(self, saved: Sequence[Any]) -> None:
        groups = self.optimizer.groups
        self.optimizer.groups = [(parameters, hyper) for (parameters, _), hyper in zip(groups, saved, strict=True)]

    def hand(self, number: int, g: Any) -> Any:
        if self.problem.tensors[number].sparse:
            return SparseGradient(g)
        g = super().hand(number, g)
        if self.bucket:
            memory = np.full(number + 1 + 2 * g.size, np.nan, dtype=g.dtype)
            memory[number + 1 : number + 1 + g.size] = g.ravel()
            g = memory[number + 1 : number + 1 + g.size].reshape(g.shape)
        if self.problem.use == "accumulated":
            self.reused.setdefault(number, g)[...] = g
            g = self.reused[number]
        self.handed[-1] = (number, g)
        return -g if self.reverses else g

    def step(self, gradients: list[list[Any]], rates: list[float], step: int) -> None:
        optimizer, use = self.optimizer, self.problem.use
        if use == "closure":
            self._step_with_closure(gradients, rates, loss=float(step + 1))
        elif use == "scaler":
            getattr(optimizer, "scaled_step", self._scaled_step)(gradients, rates)
        elif use in ("compiled", "graph"):
            if "captured" not in optimizer.__dict__:
                optimizer.captured = getattr(optimizer, "capture", lambda: optimizer.step)()
            optimizer.captured(gradients, rates)
        else:
            optimizer.step(gradients, rates)

    def _step_with_closure(self, gradients: list[list[Any]], rates: list[float], loss: float) -> None:
        calls = []

        def closure() -> float:
            calls.append(not getattr(self.optimizer, "without_gradients", False))
            return loss

        def right(closure: Any, gradients: Any, rates: Any) -> Any:
            value = closure()
            self.optimizer.step(gradients, rates)
            return value

        returned = getattr(self.optimizer, "step_with", right)(closure, gradients, rates)
        self.closures.append((len(calls), bool(calls) and all(calls), returned == loss))

    def _scaled_step(self, gradients: list[list[Any]], rates: list[float]) -> None:
        """No step at all where a gradient overflowed. (Gradients come unscaled here; those that overflowed are None.)"""
        if all(g is not None for group in gradients for g in group):
            self.optimizer.step(gradients, rates)

    @classmethod
    def in_processes(cls, plug: OptimizerPlug, jobs: Sequence[Job], wanted: int) -> RunOutcome:
        """The problem on so many ranks, one after the other."""
        problem, ranks = jobs[wanted]
        if ranks.kind == "ddp":
            histories = [DataParallelBackend(plug, problem).outcome().parameters for _ in range(ranks.world)]
            return RunOutcome(histories[0], replicas=tuple(histories[1:]))
        backends = _shards(plug, problem, [t.start for t in problem.tensors], ranks.world)
        history: list[list[Array]] = [[] for _ in problem.tensors]
        for step in range(problem.steps):
            if ranks.then and step == problem.resume_after:
                backends = _resharded(plug, problem, backends, ranks.then)
            for backend in backends:
                backend.advance(step)
            for number, values in enumerate(_whole(backends)):
                history[number].append(values)
        return RunOutcome(tuple(map(tuple, history)))

    @classmethod
    def sampled(cls, plug: OptimizerPlug, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
        """The whole of a small tensor that stands for the huge one."""
        places = np.arange(-(-huge.count // SMALLER))
        start, *gradients = (huge.values(places, salt) for salt in range(len(huge.learning_rates) + 1))
        problem = OptimizerProblem.of_one(TensorProblem(start, tuple(gradients)), huge.hyper, huge.learning_rates)
        return [start], gradients, list(cls(plug, problem).outcome().parameters[0])


def rearrange(optimizer: Any, what: str) -> None:
    """What `OptimizerProblem.rearranged` names, of a NumPy optimizer. (A parameter that is replaced is its own array here.)"""
    if what == "groups reversed":
        optimizer.groups.reverse()
        optimizer.moments.reverse()
    for (parameters, _), moments in zip(optimizer.groups, optimizer.moments, strict=True):
        if what == "parameters reversed":
            parameters.reverse()
            moments.reverse()
        elif what == "removed":
            parameters.pop()
            moments.pop()


class DataParallelBackend(SimulatedBackend):
    """One rank under torch's data-parallel wrapper."""

    bucket = True


def _rows(values: Any, rank: int, world: int) -> Any:
    """The rows of a rank: equal parts of the first axis, the last ones shorter or empty."""
    each = -(-len(values) // world)
    return np.array(values[rank * each : (rank + 1) * each])


def _shards(plug: OptimizerPlug, problem: OptimizerProblem, starts: Sequence[Array], world: int) -> list[SimulatedBackend]:
    """A backend for each rank, which holds its rows of every tensor."""
    (group,) = problem.groups
    backends = []
    for rank in range(world):
        tensors = tuple(
            TensorProblem(_rows(start, rank, world), tuple(_rows(g, rank, world) for g in tensor.gradients))
            for start, tensor in zip(starts, group.tensors, strict=True)
        )
        backends.append(SimulatedBackend(plug, replace(problem, groups=(replace(group, tensors=tensors),))))
        backends[-1].build(0)
    return backends


def _whole(backends: Sequence[SimulatedBackend]) -> list[Array]:
    return [np.concatenate([b.read(number) for b in backends]) for number in range(len(backends[0].problem.tensors))]


def _resharded(
    plug: OptimizerPlug, problem: OptimizerProblem, old: Sequence[SimulatedBackend], world: int
) -> list[SimulatedBackend]:
    """New optimizers on fewer ranks, from the checkpoint of the old ones."""
    states = [backend.optimizer.state() for backend in old]
    new = _shards(plug, problem, _whole(old), world)
    for rank, backend in enumerate(new):
        gather = getattr(backend.optimizer, "gather", _gather)
        numbers = range(len(problem.tensors))
        backend.optimizer.load([[gather([s[0][number] for s in states], rank, world) for number in numbers]])
    return new


def _gather(shards: list[Any], rank: int, world: int) -> Any:
    """The part of one tensor's moments that a rank holds, out of the shards of all."""
    parts = {name: _rows(np.concatenate([getattr(s, name) for s in shards]), rank, world) for name in ("m1", "m2", "nu")}
    return replace(shards[0], **parts)
