"""Requirements on what the paper defines: the sum of sigmoid weights, scale, bias, precision, and every length and dim."""

from __future__ import annotations

from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, results

REQUIREMENTS.add(
    "SIG-01", Level.DEFINITION,
    "The output is the sum over keys of sigmoid(score) times value, with nothing normalised over keys.",
    source="section 2, definition of SigmoidAttn",
    catches="softmax, or a division by the row sum or the length, in place of a plain sigmoid", cases=cases.DEFINITION,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-02", Level.DEFINITION, "Where no scale is given, scores are q.k / sqrt(head dim of q and k).",
    source="section 2, definition of SigmoidAttn", catches="no scale, 1/D, or the value dim's square root",
    cases=cases.DEFAULT_SCALE,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-03", Level.INTERFACE, "A given scale multiplies q.k as given, negative and zero included.",
    source="kernel, softmax_scale", catches="scaling twice; starting the accumulator from bias/scale, which is NaN at scale 0",
    cases=cases.GIVEN_SCALE,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-04", Level.DEFINITION, "The bias is one natural-log constant, added to every score after scaling.",
    source="section 2 (b) and section 3 (b = -log n); kernel, sigmoid_bias",
    catches="a bias with the wrong sign, scaled with q.k, left in base e beside base-2 scores, or varying with the row",
    cases=cases.BIAS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-05", Level.DEFINITION,
    "Small weights keep their relative accuracy: with b = -log n at long n every weight is about 1/n.",
    source="section 3 (b = -log n); reference (numerical classes)",
    catches="sigmoid from an approximate tanh that was not declared; clamped scores; 1 - sigmoid(-x)",
    cases=cases.SMALL_WEIGHTS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-06", Level.ROBUSTNESS, "Extreme scores give weights of 0 or 1 and never a NaN.",
    source="section 2, definition of SigmoidAttn", catches="exp(x)/(1 + exp(x)), which is inf/inf for large x",
    cases=cases.EXTREME,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-07", Level.ROBUSTNESS,
    "Scores are as exact as the declared numerical class says; by default they are never stored in the input dtype.",
    source="reference (numerical classes)",
    catches="scores rounded to bfloat16 or float16 without saying so; products that overflow float16 before they are scaled",
    cases=cases.SCORE_PRECISION,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-08", Level.ROBUSTNESS, "The sum over many keys is carried in float32 or better.",
    source="reference (numerical classes)", catches="accumulating the output in the input dtype", cases=cases.MANY_KEYS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-09", Level.DEFINITION, "Every key counts exactly once, for lengths that no block size divides.",
    source="section 2, definition of SigmoidAttn", catches="a tail that is dropped, read from the next head, or counted twice",
    cases=cases.TAILS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-10", Level.DEFINITION, "Every head dim computes the same function: powers of two and others, from 1 to 256.",
    source="kernel (head dims up to 256, padded)", catches="a head dim cut or padded with what lies behind it",
    cases=cases.HEAD_DIMS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-11", Level.DEFINITION, "Values may have another dim than keys; the output has the values' dim.",
    source="section 2 (d_qk and d_v)", catches="one dim, or one set of strides, taken for the other", cases=cases.VALUE_DIMS,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-12", Level.DEFINITION, "One query, or one key, is a length like any other.",
    source="section 2, definition of SigmoidAttn", catches="special cases for length 1; squeezed axes", cases=cases.SINGLE,
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-13", Level.DEFINITION, "Each batch row and head is computed from its own inputs alone.",
    source="section 2, definition of SigmoidAttn", catches="a batch or head stride that is wrong beyond index 0",
    cases=cases.INDEPENDENCE,
)(results)  # fmt: skip
