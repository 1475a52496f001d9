"""Requirements on a call as a function: inputs unchanged, dtypes, nothing kept between calls, the same bits twice."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, output, solve


@REQUIREMENTS.add(
    "SIG-26",
    Level.INTERFACE,
    "Inputs, and the memory around them, are left as they were.",
    source="reference (pure function)",
    catches="scaling q in place; writing past a row's end",
    cases=cases.UNCHANGED,
)
def inputs_are_unchanged(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Bit by bit, poison included."""
    yield equal("inputs written to", solve(subject, case, dtype).mutated, ())


@REQUIREMENTS.add(
    "SIG-27",
    Level.INTERFACE,
    "The output and the gradients of q, k and v have the dtype of the inputs.",
    source="kernel, flash_attn_func",
    catches="a result left in float32",
    cases=cases.RESULT_DTYPES,
)
def results_have_the_inputs_dtype(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Dtypes by name, and shapes."""
    result = solve(subject, case, dtype)
    yield equal("dtype of the output", result.dtype, dtype)
    yield equal("shape of the output", result.output.shape, cases.problem(case, dtype).grad.shape)
    for name, found in result.gradient_dtypes.items():
        yield equal(f"dtype of the gradient of {name}", found, dtype, name)


@REQUIREMENTS.add(
    "SIG-28",
    Level.ROBUSTNESS,
    "Each call answers its own inputs, whatever was asked before.",
    source="reference (pure function)",
    catches="buffers or masks cached by shape",
    cases=cases.OWN_INPUTS,
)
def each_call_answers_its_own_inputs(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Two problems of one shape, and the first again."""
    for seed in (0, 1, 0):
        yield output(subject, case.again(seed), dtype)


@REQUIREMENTS.add(
    "SIG-29",
    Level.ROBUSTNESS,
    "The same call twice gives the same bits forward.",
    source="kernel, docstring of flash_attn_func (deterministic: the forward pass always is)",
    catches="a race, or memory read before it is written",
    cases=cases.SAME_BITS,
)
def the_same_call_gives_the_same_bits(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Against itself, not against the reference."""
    first, second = (subject.forward(cases.problem(case, dtype)).output for _ in range(2))
    yield compare("output of the second call", second, first, 0.0)
