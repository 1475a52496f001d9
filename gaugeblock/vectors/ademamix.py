"""The vectors of AdEMAMix: runs of one tensor, with the parameter after every step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import numpy as np

from conformance.ademamix.cases import RunCase, expected_of, problem_of
from conformance.ademamix.harness.problem import GroupProblem, TensorProblem
from conformance.ademamix.requirements.base import follow, stacked
from conformance.engine.check import Check
from conformance.engine.selection import checks_of
from gaugeblock.vectors.vector import NumericVector

SYSTEM = "ademamix"
DTYPES = ("float32", "float64", "float16", "bfloat16")

INTERACTIONS = ("ADM-70", "ADM-71")
"""The requirements of covering arrays: mostly about how a host calls, so they are tested by plugging in."""


def is_exported(check: Check, case: Any) -> bool:
    """Whether a case is a plain run, whose parameters are compared after every step, and nothing but the algorithm."""
    return (
        isinstance(case, RunCase)
        and check.requirement not in INTERACTIONS
        and check.run is follow
        and not (case.thorough or case.asks or case.use or case.options or case.resume_after or case.ranks)
        and all(map(_is_plain, (tensor for group in case.groups for tensor in group.tensors)))
    )


def _is_plain(tensor: Any) -> bool:
    hosted = tensor.joins_at or tensor.strided or tensor.transposed or tensor.expanded or tensor.sparse
    return not (hosted or tensor.written_at or tensor.dtype)


def vectors(numerical_class: str = "") -> Iterator[NumericVector]:
    """Every vector, in the order of the checks; ``numerical_class`` decides the bounds, and "" is the strict one."""
    belongs: dict[tuple[Any, str], list[str]] = {}
    for check in checks_of(SYSTEM):
        for case in check.cases:
            for dtype in DTYPES if is_exported(check, case) else ():
                if dtype in case.dtypes:
                    belongs.setdefault((case, dtype), []).append(check.requirement)
    for (case, dtype), requirements in belongs.items():
        problem, expected = problem_of(case, dtype), expected_of(case, dtype, numerical_class)
        for number, (tensor, snapshots) in enumerate(zip(problem.tensors, expected, strict=True)):
            name = f"{requirements[0]}-{case.id}-{dtype}" + (f"-{number}" if len(problem.tensors) > 1 else "")
            pair = stacked(snapshots, "theta"), stacked(snapshots, "theta_bound")
            group = problem.groups[problem.group_of[number]]
            yield NumericVector(
                name,
                dtype,
                tuple(dict.fromkeys(requirements)),
                parameters_of(group, tensor, case.switch_at),
                {"theta": tensor.start, "gradients": given(tensor)},
                {"theta": pair},
            )


def given(tensor: TensorProblem) -> Any:
    """The gradients, one row for each step; zeros where there is none."""
    return np.stack([np.zeros(tensor.start.shape) if g is None else g for g in tensor.gradients])


def parameters_of(group: GroupProblem, tensor: TensorProblem, switch_at: int | None) -> dict[str, Any]:
    """What the specification calls the parameters of a run."""
    return {
        "steps": len(tensor.gradients),
        "hyperparameters": [{"from_step": 0, **asdict(group.hyper)}]
        + [{"from_step": step, **asdict(hyper)} for step, hyper in group.changes],
        "learning_rates": list(group.learning_rates),
        "missing": [step for step, g in enumerate(tensor.gradients) if g is None],
        "switch_at": switch_at,
    }
