"""The NumPy protocol: a class with the interface of `impls.ademamix.numpy_optimizer.AdEMAMix`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from conformance.ademamix.harness import numpy_simulation as rehearsal
from conformance.ademamix.harness.problem import Array, Huge, Load, Outcome, Problem, Ranks, Running, otherwise
from impls.implementation import Unsupported


def run(loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> Outcome:
    """Run the problem; see `conformance.ademamix.harness.problem.Problem` for what it may ask."""
    rehearsed = bool(settings.get("rehearsed"))
    _refuse_what_is_torchs(problem, loaded, rehearsed)
    if any(tensor.dtype for tensor in problem.tensors):
        return rehearsal.dtype_by_dtype(loaded, problem)
    places: list[tuple[int, int]] = []  # of each tensor: (group, slot) in the optimizer
    starting: list[tuple[list[Array], Any]] = []
    slots: dict[int, int] = {}  # group in the optimizer -> group in the problem
    waiting: list[tuple[int, int, int]] = []
    for index, group in enumerate(problem.groups):
        here: list[Array] = []
        for tensor in group.tensors:
            if tensor.joins_at:
                waiting.append((tensor.joins_at, len(places), index))
                places.append((-1, 0))
            else:
                places.append((len(starting), len(here)))
                here.append(tensor.start.copy())
        slots[len(starting)] = index
        starting.append((here, group.hyper))
    optimizer: Any
    if problem.switch_at:
        from impls.ademamix.numpy_optimizer import AdamW

        optimizer = AdamW(starting, problem.dtype)
    else:
        optimizer = loaded(starting, problem.dtype, **dict(problem.options))
    history: list[list[Array]] = [[] for _ in problem.tensors]
    changed: list[tuple[int, int]] = []
    closures: list[tuple[int, bool, bool]] = []
    reused: dict[int, Any] = {}
    refused = ""
    for step in range(problem.steps):
        if problem.switch_at == step and step:
            optimizer = _moved(optimizer, loaded, problem, slots)
            if not hasattr(optimizer, "switch_from_adamw"):
                raise Unsupported(f"{loaded.__name__} has no method switch_from_adamw")
            optimizer.switch_from_adamw()
        if problem.resume_after == step and step:
            optimizer = _moved(optimizer, loaded, problem, slots)
        for joins_at, number, index in waiting:
            if joins_at == step:
                places[number] = (len(optimizer.groups), 0)
                slots[len(optimizer.groups)] = index
                optimizer.add_group([problem.tensors[number].start.copy()], problem.groups[index].hyper)
        for place, index in slots.items():
            change = dict(problem.groups[index].changes).get(step)
            if change:
                optimizer.groups[place] = (optimizer.groups[place][0], change)
        gradients: list[list[Any]] = [[None] * len(parameters) for parameters, _ in optimizer.groups]
        handed: list[tuple[int, Any, Any]] = []
        for number, (tensor, (group_at, slot)) in enumerate(zip(problem.tensors, places, strict=True)):
            if group_at >= 0:
                if step in tensor.writes:
                    optimizer.groups[group_at][0][slot] = np.array(tensor.writes[step], dtype=optimizer.compute)
                g = tensor.gradients[step - tensor.joins_at]
                if g is not None:
                    mine = np.array(g, dtype=optimizer.compute)
                    if tensor.strided and mine.ndim:
                        memory = np.full((*mine.shape[:-1], 2 * mine.shape[-1]), np.nan, dtype=mine.dtype)
                        memory[..., ::2] = mine
                        mine = memory[..., ::2]
                    if tensor.transposed == "gradient":
                        mine = np.asfortranarray(mine)
                    if tensor.expanded:
                        memory = np.full((*mine.shape[:-1], 2 * mine.shape[-1]), np.nan, dtype=mine.dtype)
                        memory[..., :1] = mine[..., :1]
                        strides = (*memory.strides[:-1], 0)
                        mine = np.lib.stride_tricks.as_strided(memory, mine.shape, strides)
                    if settings.get("bucket"):  # views at an offset of their own, as torch's data-parallel wrapper has them
                        memory = np.full(number + 1 + 2 * mine.size, np.nan, dtype=mine.dtype)
                        memory[number + 1 : number + 1 + mine.size] = mine.ravel()
                        mine = memory[number + 1 : number + 1 + mine.size].reshape(mine.shape)
                    if problem.use == "accumulated":
                        reused.setdefault(number, mine)[...] = mine
                        mine = reused[number]
                    if tensor.sparse:
                        gradients[group_at][slot] = rehearsal.SparseGradient(mine)
                        continue
                    gradients[group_at][slot] = mine
                    handed.append((number, mine, mine.copy()))
        rates = [problem.groups[slots[i]].learning_rates[step] for i in range(len(optimizer.groups))]
        try:
            seen = rehearsal.step(optimizer, problem.use, gradients, rates, step)
        except Exception as error:
            if not any(t.sparse for t in problem.tensors):
                raise
            refused = f"{type(error).__name__}: {error}"
        if problem.use == "closure" and seen:
            closures.append(seen)
        for number, mine, copied in handed:
            if mine.tobytes() != copied.tobytes():
                changed.append((number, step))
        for number, (group_at, slot) in enumerate(places):
            if group_at >= 0:
                history[number].append(np.array(optimizer.groups[group_at][0][slot], dtype=np.float64))
        if refused:
            break
    kept = [optimizer.moments[group_at][slot] for group_at, slot in places]
    moments = tuple({name: np.array(getattr(k, name), dtype=np.float64) for name in ("m1", "m2", "nu")} for k in kept)
    return Outcome(tuple(tuple(h) for h in history), moments, tuple(changed), refused, tuple(closures))


def in_processes(
    loaded: Any, settings: Mapping[str, Any], target: str, jobs: Sequence[tuple[Problem, Ranks]], wanted: int
) -> Outcome:
    """Ranks are rehearsed, for planted bugs alone."""
    if not settings.get("rehearsed"):
        raise Unsupported("torch.distributed runs a torch.optim.Optimizer")
    return rehearsal.in_processes(loaded, *jobs[wanted])


def sampled(loaded: Any, settings: Mapping[str, Any], device: str, huge: Huge) -> tuple[list[Array], list[Array], list[Array]]:
    """A small tensor that stands for the huge one, for planted bugs alone."""
    if not settings.get("rehearsed"):
        raise Unsupported("tensors of more than 2**31 elements are judged on a CUDA device")
    places = np.arange(-(-huge.count // rehearsal.SMALLER))
    start, *gradients = (huge.values(places, salt) for salt in range(len(huge.learning_rates) + 1))
    return [start], gradients, rehearsal.sampled(loaded, start, gradients, huge.hyper, huge.learning_rates)


def start(loaded: Any, settings: Mapping[str, Any], device: str, load: Load) -> Running:
    """The optimizer, ready to step."""
    optimizer = loaded([([np.array(s) for s in load.starts], load.hyper)], load.dtype)

    def step() -> None:
        optimizer.step([list(load.gradients)], [load.learning_rate])

    return Running(step, lambda: [np.array(p, dtype=np.float64) for p in optimizer.groups[0][0]])


def _moved(optimizer: Any, loaded: Any, problem: Problem, slots: Mapping[int, int]) -> Any:
    """A new optimizer with the parameters and the saved state of the old one."""
    hypers = [hyper for _, hyper in optimizer.groups]
    first = [otherwise(hyper) for hyper in hypers] if problem.rebuilt_otherwise else hypers
    groups = [([p.copy() for p in parameters], hyper) for (parameters, _), hyper in zip(optimizer.groups, first, strict=True)]
    new = loaded(groups, problem.dtype)
    state = optimizer.state()
    new.load(rehearsal.as_plain(state) if problem.medium == "plain" else state)
    if problem.rebuilt_otherwise:
        getattr(new, "load_hyperparameters", lambda saved: rehearsal.load_hyperparameters(new, saved))(hypers)
    return new


def _refuse_what_is_torchs(problem: Problem, loaded: Any, rehearsed: bool) -> None:
    if any(t.expanded == "parameter" for t in problem.tensors):
        raise Unsupported("parameters are copied on construction, so that none shares its memory")
    if not rehearsed and (
        problem.use or problem.options or problem.rebuilt_otherwise or any(t.sparse or t.dtype for t in problem.tensors)
    ):
        options = ", ".join(name for name, _ in problem.options)
        saved = "hyperparameters in the state" if problem.rebuilt_otherwise else "sparse gradients, or dtypes side by side"
        what = problem.use or options or saved
        raise Unsupported(f"{what}: a notion of torch.optim")
    for name, _ in problem.options:
        if name not in inspect.signature(loaded).parameters:
            raise Unsupported(f"{loaded.__name__} takes no argument {name!r}")
