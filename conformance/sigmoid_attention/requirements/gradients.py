"""Requirements on the gradients of q, k and v, and on what recording them changes."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, gradient, gradient_of, gradients, output
from impls.implementation import Unsupported

REQUIREMENTS.add(
    "SIG-30", Level.DEFINITION, "dV = P^T dO.", source="section 4 and Algorithm 2 (backward)",
    catches="P not transposed, or recomputed without the bias", cases=cases.GRADIENTS,
)(gradient_of("v"))  # fmt: skip

REQUIREMENTS.add(
    "SIG-31", Level.DEFINITION, "dQ = scale dS K with dS = P (1 - P) (dO V^T): no row sum is subtracted.",
    source="section 4 and Algorithm 2 (backward)", catches="softmax's backward; a missing 1 - P; a missing scale",
    cases=cases.GRADIENTS,
)(gradient_of("q"))  # fmt: skip

REQUIREMENTS.add(
    "SIG-32", Level.DEFINITION, "dK = scale dS^T Q.", source="section 4 and Algorithm 2 (backward)",
    catches="a missing scale in dK alone; dS not transposed", cases=cases.GRADIENTS,
)(gradient_of("k"))  # fmt: skip

REQUIREMENTS.add(
    "SIG-33", Level.DEFINITION,
    "Gradients are those of the same weights: mask, window, slopes, lengths, bias and scale as in the output.",
    source="section 4 and Algorithm 2 (backward)", catches="an option that reaches the forward pass only",
    cases=cases.GRADIENT_OPTIONS,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-38", Level.ROBUSTNESS, "Near saturation dS keeps the 1 - P of the unrounded weight, unless the class says otherwise.",
    source="reference (numerical classes); kernel, softmax.h (float32 P in the backward pass)",
    catches="1 - P taken from a weight stored in bfloat16, which is 0 there", cases=cases.SATURATED_GRADIENTS,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-39", Level.INTERFACE, "The gradient at the output may have any strides, zero included.",
    source="torch: what output.sum().backward() hands to a backward pass", catches="dO read as if it were contiguous",
    cases=cases.GRADIENT_STRIDES,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-40", Level.DEFINITION, "Gradients hold for lengths that no block size divides.",
    source="section 4 and Algorithm 2 (backward)",
    catches="query tails that add sigmoid(b) to dV; key tails written to the next head", cases=cases.GRADIENT_TAILS,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-41", Level.ROBUSTNESS, "The sums over many keys and queries in dQ, dK and dV are carried in float32 or better.",
    source="reference (numerical classes)", catches="accumulating a gradient in the input dtype, in memory, block by block",
    cases=cases.MANY_GRADIENT_TERMS,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-48", Level.INTERFACE,
    "Packed sequences give the gradients that each gives by itself; those of bias and shared slopes are added up.",
    source="reference (packed)", catches="gradients aligned by the totals; sums of the last sequence alone",
    cases=cases.PACKED_GRADIENTS,
)(gradients)  # fmt: skip

REQUIREMENTS.add(
    "SIG-54", Level.INTERFACE, "A gradient is the same whichever other inputs ask for theirs.",
    source="reference (backward); torch: frozen layers ask for none",
    catches="a kernel that makes two gradients together, skipped when one of them is not asked for", cases=cases.FROZEN,
)(gradients)  # fmt: skip


@REQUIREMENTS.add(
    "SIG-42",
    Level.INTERFACE,
    "A result, and what its backward pass needs, outlive the next call.",
    source="reference (pure function); torch: a network calls layer after layer before it goes back",
    catches="an output buffer that the next call writes again; weights kept outside the call that they belong to",
    cases=cases.KEPT,
)
def a_result_outlives_the_next_call(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Another call comes between a call and the reading of its output, and between its forward and backward pass."""
    problem, other = cases.problem(case, dtype), cases.problem(case.again(1), dtype)
    interrupted = getattr(subject, "interrupted", None)
    if interrupted is None:
        raise Unsupported("has no method interrupted(problem, other, backward), which solves another problem in between")
    result = interrupted(problem, other, case.backward)
    yield output(subject, case, dtype, result)
    for name in result.gradients:
        yield gradient(name, subject, case, dtype, result)


@REQUIREMENTS.add(
    "SIG-43",
    Level.INTERFACE,
    "The output is the same whether gradients are recorded or not.",
    source="reference (pure function)",
    catches="a forward pass for training that ignores an option which the one for inference takes",
    cases=cases.RECORDED,
)
def recording_gradients_changes_no_output(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Each of the two may be off by its bound. Other requirements test what is wrong both times."""
    problem = cases.problem(case, dtype)
    recorded, plain = subject.forward_backward(problem).output, subject.forward(problem).output
    bound = 2 * cases.output_bound(case, dtype, subject.numerical_class)
    yield compare("output with gradients recorded", recorded, plain, bound)
