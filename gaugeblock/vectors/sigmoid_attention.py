"""The vectors of sigmoid attention: single calls, forward and backward."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.engine.check import Check
from conformance.engine.selection import checks_of
from conformance.engine.tensor_bytes import Array
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.command_subject import parameters_of
from conformance.sigmoid_attention.requirements.comparisons import results
from gaugeblock.vectors.vector import NumericVector

SYSTEM = "sigmoid_attention"
FURTHER = ("SIG-23", "SIG-34", "SIG-35", "SIG-43")
"""Requirements whose checks do more than compare, and whose bugs show in a plain comparison too."""

MOST = 57_000
"""Numbers of a vector that is neither quick nor made by hand, and of one in float64, whose numbers are large."""

DTYPES = ("float32", "float64", "float16", "bfloat16")


def is_exported(check: Check, case: Any) -> bool:
    """Whether a case is one call, whose results are compared with the definition.

    Of a row of a covering array the call is exported without its layout in memory.
    """
    if not isinstance(case, AttentionCase) or case.thorough or case.frozen or case.context:
        return False
    if case.interpreted == "never":  # as many numbers as a grid has places, for the sake of that grid
        return False
    if not (check.run.__module__ == results.__module__ or check.requirement in FURTHER):
        return False
    plain = (case.layout, case.grad_layout) == ("contiguous", "contiguous")
    return plain or case.combination is not None


def vectors(numerical_class: str = "") -> Iterator[NumericVector]:
    """Every vector, in the order of the checks; ``numerical_class`` decides the bounds, and "" is the strict one."""
    belongs: dict[tuple[AttentionCase, str], list[str]] = {}
    for check in checks_of(SYSTEM):
        for case in check.cases:
            if is_exported(check, case):
                # In float32, which every language has, where the case has it; quick ones in the last of the others too.
                dtypes = [dtype for dtype in DTYPES if dtype in case.dtypes]
                for dtype in dict.fromkeys([dtypes[0], *([dtypes[-1]] if case.quick else [])]):
                    belongs.setdefault((case, dtype), []).append(check.requirement)
    for (case, dtype), requirements in belongs.items():
        vector = _vector(case, dtype, tuple(dict.fromkeys(requirements)), numerical_class)
        if vector.is_defined and vector.is_kept(case, MOST) and (dtype != "float64" or vector.elements <= MOST):
            yield vector


def _vector(case: AttentionCase, dtype: str, requirements: tuple[str, ...], numerical_class: str) -> NumericVector:
    problem = cases.problem(case, dtype)
    inputs = {name: (getattr(problem, name), dtype) for name in ("q", "k", "v")}
    if problem.options.alibi_slopes is not None:
        inputs["alibi_slopes"] = np.asarray(problem.options.alibi_slopes, dtype=np.float64), "float32"
    expected = {"output": pair(cases.expected_output(case, dtype), cases.output_bound(case, dtype, numerical_class))}
    if case.backward:
        inputs["output_gradient"] = problem.grad, dtype
        values, bounds = cases.expected_gradients(case, dtype), cases.gradient_bounds(case, dtype, numerical_class)
        for name in ("q", "k", "v", *case.wanted):
            expected[f"gradient_{name}"] = pair(getattr(values, name), getattr(bounds, name))
    name = f"{requirements[0]}-{case.id}-{dtype}"
    return NumericVector(name, dtype, requirements, parameters_of(problem.options), inputs, expected)


def pair(values: Any, bounds: Any) -> tuple[Array, Array]:
    """Values and bounds of one shape."""
    array = np.asarray(values, dtype=np.float64)
    return array, np.array(np.broadcast_to(np.asarray(bounds, dtype=np.float64), array.shape))
