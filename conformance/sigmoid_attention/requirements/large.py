"""Further checks at a length of 65,536 of both queries and keys, where the reference cannot hold all the scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.engine.comparison import Comparison, compare
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS
from conformance.sigmoid_attention.sampled_rows import compare_places, places
from reference.sigmoid_attention import uniform_forward, uniform_forward_bound

SAMPLED = 24
"""Queries, and keys, of a long square that are compared with the reference."""


@REQUIREMENTS.check("SIG-50", cases.LONG_SQUARE)
def places_of_a_long_square(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Output and gradients at some queries and keys."""
    problem = cases.problem(case, dtype)
    result = subject.forward_backward(problem)
    head = {"q": problem.q, "k": problem.k, "v": problem.v, "grad": problem.grad, "output": result.output}
    head.update({f"d{name}": x for name, x in result.gradients.items()})
    yield from compare_places(
        {name: x[0, 0] for name, x in head.items()},
        places(case.nq, SAMPLED, np.random.default_rng(0)),
        "sampled",
        dtype=dtype,
        numerical_class=subject.numerical_class,
        bias=case.bias,
        causal=case.causal,
        window=case.window,
    )


@REQUIREMENTS.check("SIG-50", cases.LONG_UNIFORM)
def every_place_of_a_long_square(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Queries are 0, so that outputs and the gradients of v are running sums; those of k are 0."""
    problem = cases.problem(case, dtype)
    result = subject.forward_backward(problem)
    rule: dict[str, Any] = {"bias": case.bias, "causal": case.causal}
    kind: dict[str, Any] = {"dim": case.d, "dtype": dtype, "numerical_class": subject.numerical_class, **rule}
    yield compare("output", result.output, uniform_forward(problem.v, **rule), uniform_forward_bound(problem.v, **kind))
    # A key is seen by the queries from its own place on: the same sums from the end.
    late = np.flip(problem.grad, axis=2)
    expected, bound = uniform_forward(late, **rule), uniform_forward_bound(late, **kind)
    yield compare("gradient of v", result.gradients["v"], np.flip(expected, axis=2), np.flip(bound, axis=2))
    yield compare("gradient of k", result.gradients["k"], np.zeros_like(problem.k), 0.0)
