"""Compare an implementation's output and gradients with the reference; most checks are these and nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from conformance.engine.check import CheckFunction
from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Requirements
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import Array, AttentionResult, AttentionSubject

REQUIREMENTS = Requirements(
    "SIG",
    {
        "Formula": "1-4",
        "Sizes": "9-13 50 51",
        "Accuracy": "5 7 8 38 41 44-46",
        "Masks": "14-18",
        "ALiBi": "19 20 37 53",
        "Grouped heads": "21 34",
        "Packed, padded": "22 47 48",
        "Gradients": "30-33 36 40 56",
        "Extreme values": "6 23 24 35 55",
        "Memory": "25 26 39 49",
        "Calls": "27-29 42 43 54 60 61",
        "Together": "52 57-59",
    },
)


def output(subject: AttentionSubject, case: AttentionCase, dtype: str, result: AttentionResult | None = None) -> Comparison:
    """The output against the reference."""
    result = result or subject.forward(cases.problem(case, dtype))
    return compare(
        "output", result.output, cases.expected_output(case, dtype), cases.output_bound(case, dtype, subject.numerical_class)
    )


def gradient(
    name: str, subject: AttentionSubject, case: AttentionCase, dtype: str, result: AttentionResult | None = None
) -> Comparison:
    """One gradient against the reference."""
    result = result or subject.forward_backward(cases.problem(case, dtype))
    expected = getattr(cases.expected_gradients(case, dtype), name)
    bound = getattr(cases.gradient_bounds(case, dtype, subject.numerical_class), name)
    return compare(f"gradient of {name}", result.gradients[name], expected, bound)


def gradient_of(name: str) -> CheckFunction:
    """A check that compares one gradient alone."""

    def check(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
        yield gradient(name, subject, case, dtype)

    return check


def results(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The output, and the gradients that the case asks for."""
    if not case.backward:
        yield output(subject, case, dtype)
        return
    result = subject.forward_backward(cases.problem(case, dtype))
    yield output(subject, case, dtype, result)
    yield from _gradients_of(subject, case, dtype, result)


def gradients(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The gradients that the case asks for, without the output."""
    yield from _gradients_of(subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


def _gradients_of(subject: AttentionSubject, case: AttentionCase, dtype: str, result: AttentionResult) -> Iterator[Comparison]:
    for name in (*cases.problem(case, dtype).differentiated, *case.wanted):
        yield gradient(name, subject, case, dtype, result)


def solve(subject: AttentionSubject, case: AttentionCase, dtype: str) -> AttentionResult:
    """The output, with gradients where the case asks for them."""
    problem = cases.problem(case, dtype)
    return subject.forward_backward(problem) if case.backward else subject.forward(problem)


def compare_zeros(whole: str, part: str, got: Array, expected: Array, rows: npt.NDArray[np.bool_]) -> Comparison:
    """Of a result (B, H, N, D) only ``rows`` (B or 1, N), which have to be exactly 0; a wrong shape compares the whole."""
    if got.shape != expected.shape:
        return compare(whole, got, expected, 0.0)
    zero = np.broadcast_to(rows[:, None, :, None], expected.shape)
    return compare(part, np.where(zero, got, 0.0), np.zeros_like(expected), 0.0)
