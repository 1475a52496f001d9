"""Requirements on what a query sees: causal masks, windows, ALiBi, shared heads, key lengths, values that are no numbers."""

from __future__ import annotations

from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, results

REQUIREMENTS.add(
    "SIG-14", Level.DEFINITION, "A causal query sees its own position and those before it.",
    source="section 2 (causal masking); kernel, causal", catches="an off-by-one at the diagonal; the mask transposed",
    cases=cases.CAUSAL,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-15", Level.READING,
    "With unequal lengths the causal mask is aligned at the bottom right: query i sees keys j <= i + Nk - Nq.",
    source="kernel, docstring of flash_attn_func", catches="a mask aligned at the top left", cases=cases.CAUSAL_ALIGNMENT,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-16", Level.DEFINITION, "A masked pair has weight exactly 0, whatever the bias, and whatever its key and value hold.",
    source="kernel (mask to -inf before the activation)",
    catches="masking to 0 before the activation, which leaves sigmoid(0) or sigmoid(b); a finite penalty that is too small",
    cases=cases.MASKED,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-17", Level.INTERFACE, "A window (left, right) includes both its ends, and -1 leaves a side open.",
    source="kernel, window_size", catches="an off-by-one at an end; left and right swapped", cases=cases.WINDOW,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-18", Level.READING,
    "With unequal lengths, and under a causal mask, the window moves with the aligned position i + Nk - Nq.",
    source="kernel, docstring of flash_attn_func (window_size)", catches="a window counted from the top left",
    cases=cases.WINDOW_ALIGNMENT,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-19", Level.READING, "ALiBi subtracts slope times distance, |i - j|, the same to both sides.",
    source="kernel, alibi_slopes (alibi.h)",
    catches="a signed distance, which raises the scores of future keys; the row constant that softmax may drop",
    cases=cases.ALIBI,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-20", Level.READING, "With unequal lengths ALiBi's distance is |i + Nk - Nq - j|.",
    source="kernel, alibi_slopes (alibi.h)", catches="a distance from the unaligned position", cases=cases.ALIBI_ALIGNMENT,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-21", Level.INTERFACE, "With fewer key heads, query head h reads key head h // (H / Hk).",
    source="kernel, docstring of flash_attn_func (MQA and GQA)", catches="heads interleaved, h % Hk, instead of grouped",
    cases=cases.SHARED_HEADS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-22", Level.INTERFACE, "Keys and values beyond a batch row's key length count for nothing.",
    source="reference (masks.visible)", catches="padding seen by some rows; another row's length", cases=cases.KEY_LENGTHS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-24", Level.ROBUSTNESS, "A NaN or an infinity in a query reaches its own row alone.",
    source="section 2: a row of the output has one query; what a key that is masked may do is SIG-55",
    catches="padding rows that leak; rows of one block that share a sum or a largest value",
    cases=cases.NAN,
)(results)  # fmt: skip
