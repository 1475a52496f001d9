"""The vectors of sigmoid attention: single calls, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.engine.check import Check
from conformance.engine.selection import checks_of
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionProblem
from conformance.sigmoid_attention.requirements.comparisons import results
from gaugeblock.vectors.vector import Array, NumericVector

SYSTEM = "sigmoid_attention"
DTYPES = ("float32", "float64", "float16", "bfloat16")

INTERACTIONS = ("SIG-58", "SIG-59")
"""The requirements of covering arrays: mostly about how a host calls, so they are tested by plugging in."""


def is_exported(check: Check, case: Any) -> bool:
    """Whether a case is one call, whose results are compared with the definition, in plain memory."""
    return (
        isinstance(case, AttentionCase)
        and check.requirement not in INTERACTIONS
        and not (case.thorough or case.sequences or case.frozen)
        and (case.layout, case.grad_layout) == ("contiguous", "contiguous")
        and check.run.__module__ == results.__module__
    )


def vectors(numerical_class: str = "") -> Iterator[NumericVector]:
    """Every vector, in the order of the checks; ``numerical_class`` decides the bounds, and "" is the strict one."""
    belongs: dict[tuple[AttentionCase, str], list[str]] = {}
    for check in checks_of(SYSTEM):
        for case in check.cases:
            if is_exported(check, case):
                # In float32, which every language has, where the case has it; quick ones in a narrow dtype too.
                dtypes = [dtype for dtype in DTYPES if dtype in case.dtypes]
                for dtype in dict.fromkeys([dtypes[0], *([dtypes[-1]] if case.quick else [])]):
                    belongs.setdefault((case, dtype), []).append(check.requirement)
    for (case, dtype), requirements in belongs.items():
        problem = cases.problem(case, dtype)
        inputs = {"q": problem.q, "k": problem.k, "v": problem.v}
        expected = {"output": pair(cases.expected_output(case, dtype), cases.output_bound(case, dtype, numerical_class))}
        if case.backward:
            inputs["output_gradient"] = problem.grad
            values, bounds = cases.expected_gradients(case, dtype), cases.gradient_bounds(case, dtype, numerical_class)
            for name in ("q", "k", "v", *case.wanted):
                expected[f"gradient_{name}"] = pair(getattr(values, name), getattr(bounds, name))
        if problem.options.alibi_slopes is not None:
            inputs["alibi_slopes"] = np.asarray(problem.options.alibi_slopes, dtype=np.float64)
        ids = tuple(dict.fromkeys(requirements))
        yield NumericVector(f"{ids[0]}-{case.id}-{dtype}", dtype, ids, parameters_of(problem), inputs, expected)


def pair(values: Any, bounds: Any) -> tuple[Array, Array]:
    """Values and bounds of one shape."""
    array = np.asarray(values, dtype=np.float64)
    return array, np.array(np.broadcast_to(np.asarray(bounds, dtype=np.float64), array.shape))


def parameters_of(problem: AttentionProblem) -> dict[str, Any]:
    """What the specification calls the options of a call."""
    options = problem.options
    return {
        "scale": options.scale,
        "bias": options.bias,
        "causal": options.causal,
        "window": None if options.window is None else list(options.window),
        "key_lengths": None if options.key_lengths is None else list(options.key_lengths),
    }
