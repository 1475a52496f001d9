"""Requirements on inputs of every kind: strides, packed sequences, addresses, sizes, options together, rows without keys."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.engine.comparison import Comparison
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import AttentionSubject
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, compare_zeros, results

REQUIREMENTS.add(
    "SIG-25", Level.INTERFACE, "Views with gaps give what their contiguous copies give.",
    source="kernel, flash_attn_func (any strides but the last)", catches="strides assumed contiguous; k's strides used for v",
    cases=cases.STRIDES,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-47", Level.INTERFACE, "Packed sequences give what each gives by itself, aligned by its own two lengths.",
    source="reference (packed); the variable-length functions of the kernel's family (cu_seqlens)",
    catches="a key of the next sequence; masks and slopes aligned by the totals", cases=cases.PACKED,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-49", Level.INTERFACE, "Inputs may begin anywhere in memory, at no multiple of a vector's width.",
    source="kernel, flash_attn_func (any strides but the last); torch: a slice of a tensor",
    catches="an address rounded down to 16 bytes", cases=cases.UNALIGNED,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-50", Level.ROBUSTNESS, "Nothing changes at a length of 65,536, of keys and of queries.",
    source="section 3 (b = -log n) at long n",
    catches="positions or counts kept in 16 bits, or in a format that is not exact that far", cases=cases.LONG,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-51", Level.ROBUSTNESS, "Elements further from the first than 32 bits can count are found.",
    source="kernel, flash_attn_func (any strides but the last)", catches="offsets computed in 32 bits", cases=cases.FAR,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-52", Level.INTERFACE, "Options given together each mean what they mean alone, in the output and in every gradient.",
    source="section 2, definition of SigmoidAttn; kernel, docstring of flash_attn_func",
    catches="a path for one option that leaves another out: shared heads without window, packed sequences without bias",
    cases=cases.TOGETHER,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-53", Level.INTERFACE, "ALiBi's slopes are one per head, or one per batch row and head.",
    source="kernel, docstring of flash_attn_func (alibi_slopes)",
    catches="the first row's slopes for every row; their gradients added up", cases=cases.SLOPES_BY_ROW,
)(results)  # fmt: skip


@REQUIREMENTS.add(
    "SIG-23",
    Level.ROBUSTNESS,
    "A query that sees no key has output 0.",
    source="kernel, docstring of flash_attn_func (rows of the mask that are all zero)",
    catches="NaN, or what memory held before, in rows without keys",
    cases=cases.NO_KEYS,
)
def rows_without_keys_are_zero(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Only the rows without keys: other requirements test the others."""
    got = subject.forward(cases.problem(case, dtype)).output
    yield compare_zeros("output", "rows without keys", got, cases.expected_output(case, dtype), cases.unseen(case)[0])
