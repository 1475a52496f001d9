"""The NumPy protocol: a class with the interface of `impls.ademamix.numpy_optimizer.AdEMAMix`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from impls.ademamix.problem import Array, Load, Outcome, Problem, Running
from impls.contract import Unsupported


def run(loaded: Any, settings: Mapping[str, Any], device: str, problem: Problem) -> Outcome:
    """Run the problem; see `impls.ademamix.problem.Problem` for what it may ask."""
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
        optimizer = loaded(starting, problem.dtype)
    history: list[list[Array]] = [[] for _ in problem.tensors]
    changed: list[tuple[int, int]] = []
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
        gradients: list[list[Any]] = [[None] * len(parameters) for parameters, _ in optimizer.groups]
        handed: list[tuple[int, Any, Any]] = []
        for number, (tensor, (group_at, slot)) in enumerate(zip(problem.tensors, places, strict=True)):
            if group_at >= 0:
                g = tensor.gradients[step - tensor.joins_at]
                if g is not None:
                    mine = np.array(g, dtype=optimizer.compute)
                    if tensor.strided and mine.ndim:
                        memory = np.full((*mine.shape[:-1], 2 * mine.shape[-1]), np.nan, dtype=mine.dtype)
                        memory[..., ::2] = mine
                        mine = memory[..., ::2]
                    if tensor.transposed == "gradient":
                        mine = np.asfortranarray(mine)
                    gradients[group_at][slot] = mine
                    handed.append((number, mine, mine.copy()))
        optimizer.step(gradients, [problem.groups[slots[i]].learning_rates[step] for i in range(len(optimizer.groups))])
        for number, mine, copied in handed:
            if not np.array_equal(mine, copied, equal_nan=True):
                changed.append((number, step))
        for number, (group_at, slot) in enumerate(places):
            if group_at >= 0:
                history[number].append(np.array(optimizer.groups[group_at][0][slot], dtype=np.float64))
    kept = [optimizer.moments[group_at][slot] for group_at, slot in places]
    moments = tuple({name: np.array(getattr(k, name), dtype=np.float64) for name in ("m1", "m2", "nu")} for k in kept)
    return Outcome(tuple(tuple(h) for h in history), moments, tuple(changed))


def start(loaded: Any, settings: Mapping[str, Any], device: str, load: Load) -> Running:
    """The optimizer, ready to step."""
    optimizer = loaded([([np.array(s) for s in load.starts], load.hyper)], load.dtype)

    def step() -> None:
        optimizer.step([list(load.gradients)], [load.learning_rate])

    return Running(step, lambda: [np.array(p, dtype=np.float64) for p in optimizer.groups[0][0]])


def _moved(optimizer: Any, loaded: Any, problem: Problem, slots: Mapping[int, int]) -> Any:
    """A new optimizer with the parameters and the saved state of the old one."""
    groups = [([p.copy() for p in parameters], hyper) for parameters, hyper in optimizer.groups]
    new = loaded(groups, problem.dtype)
    new.load(optimizer.state())
    return new
