"""Requirements on the gradients of shared heads, of rows that nothing reaches, of the bias and of ALiBi's slopes."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, compare_zeros, gradient, gradient_of


@REQUIREMENTS.add(
    "SIG-34",
    Level.INTERFACE,
    "Query heads that share a key head add their gradients of k and v.",
    source="kernel, docstring of flash_attn_func (MQA and GQA)",
    catches="one head's gradient returned for the group, or their mean",
    cases=cases.SHARED_HEAD_GRADIENTS,
)
def shared_heads_add_their_gradients(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """dK and dV, which have fewer heads than dQ."""
    result = subject.forward_backward(cases.problem(case, dtype))
    for name in ("k", "v"):
        yield gradient(name, subject, case, dtype, result)


@REQUIREMENTS.add(
    "SIG-35",
    Level.ROBUSTNESS,
    "Queries that see no key, and keys that no query sees, have gradient 0.",
    source="kernel, docstring of flash_attn_func (rows of the mask that are all zero)",
    catches="NaN, or what memory held before, in gradients that nothing reaches",
    cases=cases.UNREACHED,
)
def what_nothing_reaches_has_no_gradient(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Only the rows of dQ, dK and dV that no visible pair touches."""
    result = subject.forward_backward(cases.problem(case, dtype))
    queries, keys = cases.unseen(case)
    for name, rows in (("q", queries), ("k", keys), ("v", keys)):
        expected = getattr(cases.expected_gradients(case, dtype), name)
        yield compare_zeros(f"gradient of {name}", f"unreached gradient of {name}", result.gradients[name], expected, rows)


REQUIREMENTS.add(
    "SIG-36", Level.INTERFACE, "The gradient of the bias is the sum of dS over everything.", source="reference (backward)",
    catches="a mean, or the sum of dP or P, in place of the sum of dS", cases=cases.BIAS_GRADIENT,
)(gradient_of("bias"))  # fmt: skip

REQUIREMENTS.add(
    "SIG-37", Level.INTERFACE, "The gradient of an ALiBi slope is minus the sum of dS times distance over its head.",
    source="reference (backward)", catches="a missing sign; slopes of different heads added", cases=cases.SLOPE_GRADIENT,
)(gradient_of("alibi_slopes"))  # fmt: skip
