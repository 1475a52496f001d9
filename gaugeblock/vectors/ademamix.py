"""The vectors of AdEMAMix: runs of an optimizer, with every parameter after every step."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from conformance.ademamix.cases import RunCase, expected_of, problem_of
from conformance.ademamix.harness.problem import OptimizerProblem, TensorProblem
from conformance.ademamix.requirements.base import follow, stacked
from conformance.engine.check import Check
from conformance.engine.selection import checks_of
from conformance.engine.tensor_bytes import Array
from gaugeblock.vectors.vector import NumericVector

SYSTEM = "ademamix"
FURTHER = ("ADM-25", "ADM-28", "ADM-36", "ADM-45", "ADM-69")
"""Requirements whose checks do more than compare, and whose bugs show in a plain comparison too."""
LARGEST, MOST_TENSORS = 2**17, 100
"""Elements and tensors of a run that is exported outside covering arrays: more would make files that nobody fetches."""
MOST_OF_GROUPS = 30_000
"""Numbers of a row with groups, if it is a quick one."""
COMBINED = ("ADM-70", "ADM-71")
"""Those of covering arrays; the third, ADM-72, is about memory."""
DTYPES = ("float32", "float64", "float16", "bfloat16")


def is_exported(check: Check, case: Any) -> bool:
    """Whether a case is a run, whose parameters are compared after every step, and nothing but the algorithm.

    Of a row of a covering array the run is exported without what a host does besides: layouts, closures, kinds of files.
    Gradients of groups that maximize are reversed.
    """
    if not isinstance(case, RunCase) or case.thorough or case.asks or case.options or case.ranks or case.use == "scaler":
        return False
    tensors = [tensor for group in case.groups for tensor in group.tensors]
    if any(tensor.written_at for tensor in tensors) or len(tensors) > MOST_TENSORS:
        return False
    if case.combination is None and sum(math.prod(tensor.shape) for tensor in tensors) > LARGEST:
        return False
    if case.combination is not None:
        return check.requirement in COMBINED
    hosted = case.use or case.rate_tensors or case.rebuilt_otherwise or case.rearranged or case.saved_as not in ("", "plain")
    hosted = hosted or any(group.maximize for group in case.groups)
    return (check.run is follow or check.requirement in FURTHER) and not hosted and all(map(_is_plain, tensors))


def _is_plain(tensor: Any) -> bool:
    return not (tensor.layout or tensor.gradient_layout or tensor.sparse)


def vectors(numerical_class: str = "") -> Iterator[NumericVector]:
    """Every vector, in the order of the checks; ``numerical_class`` decides the bounds, and "" is the strict one."""
    belongs: dict[tuple[RunCase, str], list[str]] = {}
    for check in checks_of(SYSTEM):
        for case in check.cases:
            for dtype in DTYPES if is_exported(check, case) else ():
                if dtype in case.dtypes:
                    belongs.setdefault((case, dtype), []).append(check.requirement)
    for (case, dtype), requirements in belongs.items():
        problem, expected = problem_of(case, dtype), expected_of(case, dtype, numerical_class)
        inputs: dict[str, tuple[Array, str]] = {}
        for number, tensor in enumerate(problem.tensors):
            inputs[f"theta.{number}"] = tensor.start, tensor.dtype or dtype
            sign = -1 if problem.groups[problem.group_of[number]].maximize else 1
            inputs[f"gradients.{number}"] = sign * given(tensor), tensor.dtype or dtype
        pairs = {
            f"theta.{number}": (stacked(snapshots, "theta"), stacked(snapshots, "theta_bound"))
            for number, snapshots in enumerate(expected)
        }
        ids = tuple(dict.fromkeys(requirements))
        vector = NumericVector(f"{ids[0]}-{case.id}-{dtype}", dtype, ids, parameters_of(problem), inputs, pairs)
        if vector.is_kept(case, 16_000) and ("ADM-71" not in ids or vector.elements <= MOST_OF_GROUPS):
            yield vector


def given(tensor: TensorProblem) -> Array:
    """The gradients, one row for each step from the one at which the tensor joins; zeros where there is none."""
    return np.stack([np.zeros(tensor.start.shape) if g is None else g for g in tensor.gradients])


def parameters_of(problem: OptimizerProblem) -> dict[str, Any]:
    """What the specification calls the parameters of a run."""
    groups = [
        {
            "parameters": [str(n) for n, own in enumerate(problem.group_of) if own == index],
            "learning_rates": list(group.learning_rates),
            "hyperparameters": [{"from_step": 0, **asdict(group.hyper)}]
            + [{"from_step": step, **asdict(hyper)} for step, hyper in group.changes],
        }
        for index, group in enumerate(problem.groups)
    ]
    missing = {str(n): [s + t.joins_at for s, g in enumerate(t.gradients) if g is None] for n, t in enumerate(problem.tensors)}
    return {
        "steps": problem.steps,
        "groups": groups,
        "missing": {name: steps for name, steps in missing.items() if steps},
        "joins_at": {str(n): t.joins_at for n, t in enumerate(problem.tensors) if t.joins_at},
        "switch_at": problem.switch_at,
        "resume_after": problem.resume_after,
    }
