"""What torch training loops and ranks do to an optimizer, rehearsed on NumPy ones, so that planted bugs can be of that kind.

An optimizer of the NumPy protocol has no closure, no GradScaler, no graph and no ranks, and is not judged on them. The suite's
planted bugs are: each function here does what the framework would, through a method of the optimizer where it has one of
that name, and the honest thing otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np

from conformance.ademamix.harness.problem import Array, Group, Outcome, Problem, Ranks, Tensor

Gradients = list[list[Any]]


class SparseGradient:
    """A gradient of which only some rows are given, as embeddings have."""

    def __init__(self, dense: Array) -> None:
        self.places = np.nonzero(dense)
        self.values = dense[self.places]
        self.shape = dense.shape

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        raise TypeError("found a sparse gradient, expected a dense one")


def step(optimizer: Any, use: str, gradients: Gradients, rates: Sequence[float], number: int) -> tuple[int, bool, bool] | None:
    """One step as that use makes it; for a closure what came of it."""
    if use == "closure":
        return _with_closure(optimizer, gradients, rates, float(number + 1))
    if use == "scaler":
        scaled_step = getattr(optimizer, "scaled_step", None)
        (scaled_step or (lambda *given: _scaled_step(optimizer, *given)))(gradients, rates)
        return None
    if use in ("compiled", "graph"):
        if "captured" not in optimizer.__dict__:
            optimizer.captured = getattr(optimizer, "capture", lambda: optimizer.step)()
        optimizer.captured(gradients, rates)
        return None
    optimizer.step(gradients, rates)
    return None


def _with_closure(optimizer: Any, gradients: Gradients, rates: Sequence[float], loss: float) -> tuple[int, bool, bool]:
    calls = []

    def closure() -> float:
        calls.append(True)
        return loss

    def honest(closure: Any, gradients: Gradients, rates: Sequence[float]) -> Any:
        value = closure()
        optimizer.step(gradients, rates)
        return value

    returned = getattr(optimizer, "step_with", honest)(closure, gradients, rates)
    return len(calls), bool(calls), returned == loss


def _scaled_step(optimizer: Any, gradients: Gradients, rates: Sequence[float]) -> None:
    """No step at all where a gradient overflowed. (Rehearsed gradients come unscaled; those that overflowed are None.)"""
    if all(g is not None for group in gradients for g in group):
        optimizer.step(gradients, rates)


def load_hyperparameters(optimizer: Any, saved: Sequence[Any]) -> None:
    """Those of a saved state replace the constructor's."""
    optimizer.groups = [(parameters, hyper) for (parameters, _), hyper in zip(optimizer.groups, saved, strict=True)]


def dtype_by_dtype(loaded: Any, problem: Problem) -> Outcome:
    """Tensors of several dtypes in one group: one optimizer for each, which is honest, since tensors share nothing.

    A planted bug may have ``dtype_of(own, first)``: the dtype that it takes such a tensor to have.
    """
    from conformance.ademamix.harness.numpy_backend import run

    first = problem.tensors[0].dtype or problem.dtype
    histories: list[tuple[Array, ...]] = []
    for group in problem.groups:
        for tensor in group.tensors:
            own = tensor.dtype or problem.dtype
            dtype = getattr(loaded, "dtype_of", lambda own, first: own)(own, first)
            alone = replace(problem, dtype=dtype, groups=(replace(group, tensors=(replace(tensor, dtype=""),)),))
            histories += run(loaded, {"rehearsed": True}, "cpu", alone).parameters
    return Outcome(tuple(histories))


def as_plain(moments: Any) -> Any:
    """What is left of a NumPy optimizer's state after arrays and JSON: the declared fields."""
    kept = []
    for group in moments:
        new = []
        for each in group:
            values = {field.name: getattr(each, field.name) for field in fields(each)}
            arrays = {name: np.array(value) for name, value in values.items() if isinstance(value, np.ndarray | np.generic)}
            rest = json.loads(json.dumps({name: value for name, value in values.items() if name not in arrays}))
            new.append(type(each)(**arrays, **rest))
        kept.append(new)
    return kept


def in_processes(loaded: Any, problem: Problem, ranks: Ranks) -> Outcome:
    """The problem on so many ranks, one after the other."""
    from conformance.ademamix.harness.numpy_backend import run

    if ranks.kind == "ddp":
        histories = [run(loaded, {"rehearsed": True, "bucket": True}, "cpu", problem).parameters for _ in range(ranks.world)]
        return Outcome(histories[0], replicas=tuple(histories[1:]))
    (group,) = problem.groups
    until = problem.resume_after if ranks.then else None
    optimizers = [_shard_optimizer(loaded, problem.dtype, group, rank, ranks.world) for rank in range(ranks.world)]
    history: list[list[Array]] = [[] for _ in problem.tensors]
    for number in range(problem.steps):
        if until and number == until:
            optimizers = _resharded(loaded, problem.dtype, group, optimizers, ranks.then)
        for rank, optimizer in enumerate(optimizers):
            gradients = [_rows(np.asarray(t.gradients[number]), rank, len(optimizers)) for t in group.tensors]
            optimizer.step([gradients], [group.learning_rates[number]])
        for index in range(len(group.tensors)):
            whole = np.concatenate([o.groups[0][0][index] for o in optimizers])
            history[index].append(np.asarray(whole, dtype=np.float64))
    return Outcome(tuple(tuple(steps) for steps in history))


def _rows(values: Array, rank: int, world: int) -> Array:
    """The rows of a rank: equal parts of the first axis, the last ones shorter or empty."""
    each = -(-len(values) // world)
    return np.array(values[rank * each : (rank + 1) * each])


def _shard_optimizer(loaded: Any, dtype: str, group: Group, rank: int, world: int) -> Any:
    return loaded([([_rows(t.start, rank, world) for t in group.tensors], group.hyper)], dtype)


def _resharded(loaded: Any, dtype: str, group: Group, old: list[Any], world: int) -> list[Any]:
    """New optimizers on fewer ranks, from the checkpoint of the old ones."""
    whole = [Tensor(np.concatenate([o.groups[0][0][i] for o in old]), ()) for i in range(len(group.tensors))]
    new = [_shard_optimizer(loaded, dtype, replace(group, tensors=tuple(whole)), rank, world) for rank in range(world)]
    states = [o.state() for o in old]
    for rank, optimizer in enumerate(new):
        gather = getattr(optimizer, "gather", _gather)
        optimizer.load([[gather([s[0][i] for s in states], rank, world) for i in range(len(group.tensors))]])
    return new


def _gather(shards: list[Any], rank: int, world: int) -> Any:
    """The part of one tensor's moments that a rank holds, out of the shards of all."""
    parts = {name: _rows(np.concatenate([getattr(s, name) for s in shards]), rank, world) for name in ("m1", "m2", "nu")}
    return replace(shards[0], **parts)


SMALLER = 2**16
"""How much smaller a rehearsal of huge tensors is: one element for so many."""


def sampled(loaded: Any, start: Array, gradients: Sequence[Array], hyper: Any, rates: Sequence[float]) -> list[Array]:
    """The whole of a tensor that stands for a huge one."""
    optimizer = loaded([([start], hyper)], "float32")
    values = []
    for g, rate in zip(gradients, rates, strict=True):
        optimizer.step([[g]], [rate])
        values.append(np.array(optimizer.groups[0][0][0], dtype=np.float64))
    return values
