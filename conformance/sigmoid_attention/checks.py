"""How each requirement of sigmoid attention is put to a subject."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.engine.check import Checks
from conformance.engine.comparison import Comparison, compare, equal
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import Array, Result
from conformance.sigmoid_attention.statistical_check import compare_places, places
from impls.implementation import Unsupported
from reference.sigmoid_attention import Product, is_modelled, uniform_forward, uniform_forward_bound

CHECKS = Checks()

SAMPLED = 24
"""Queries, and keys, of a long square that are held against the law."""


def output(subject: Any, case: AttentionCase, dtype: str, result: Result | None = None) -> Comparison:
    """The output against the law."""
    result = result or subject.forward(cases.problem(case, dtype))
    return compare(
        "output",
        result.output,
        cases.expected_output(case, dtype),
        cases.output_bound(case, dtype, subject.numerical_class),
    )


def gradient(name: str, subject: Any, case: AttentionCase, dtype: str, result: Result) -> Comparison:
    """One gradient against the law."""
    expected = getattr(cases.expected_gradients(case, dtype), name)
    bound = getattr(cases.gradient_bounds(case, dtype, subject.numerical_class), name)
    return compare(f"gradient of {name}", result.gradients[name], expected, bound)


def _output(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The output; and the gradients that the case asks for."""
    if not case.backward:
        yield output(subject, case, dtype)
        return
    result = subject.forward_backward(cases.problem(case, dtype))
    yield output(subject, case, dtype, result)
    yield from _asked_for(subject, case, dtype, result)


def _asked_for(subject: Any, case: AttentionCase, dtype: str, result: Result) -> Iterator[Comparison]:
    for name in (*cases.problem(case, dtype).differentiated, *case.wanted):
        yield gradient(name, subject, case, dtype, result)


for _requirement, _cases in {
    "SIG-01": cases.DEFINITION,
    "SIG-02": cases.DEFAULT_SCALE,
    "SIG-03": cases.GIVEN_SCALE,
    "SIG-04": cases.BIAS,
    "SIG-05": cases.SMALL_WEIGHTS,
    "SIG-06": cases.EXTREME,
    "SIG-07": cases.SCORE_PRECISION,
    "SIG-08": cases.MANY_KEYS,
    "SIG-09": cases.TAILS,
    "SIG-10": cases.HEAD_DIMS,
    "SIG-11": cases.VALUE_DIMS,
    "SIG-12": cases.SINGLE,
    "SIG-13": cases.INDEPENDENCE,
    "SIG-14": cases.CAUSAL,
    "SIG-15": cases.CAUSAL_ALIGNMENT,
    "SIG-16": cases.MASKED,
    "SIG-17": cases.WINDOW,
    "SIG-18": cases.WINDOW_ALIGNMENT,
    "SIG-19": cases.ALIBI,
    "SIG-20": cases.ALIBI_ALIGNMENT,
    "SIG-21": cases.SHARED_HEADS,
    "SIG-22": cases.KEY_LENGTHS,
    "SIG-24": cases.NAN,
    "SIG-25": cases.STRIDES,
    "SIG-47": cases.PACKED,
    "SIG-49": cases.UNALIGNED,
    "SIG-50": cases.LONG,
    "SIG-51": cases.FAR,
    "SIG-52": cases.TOGETHER,
    "SIG-53": cases.SLOPES_BY_ROW,
}.items():
    CHECKS.add(_requirement, _cases)(_output)


@CHECKS.add("SIG-23", cases.NO_KEYS)
def rows_without_keys_are_zero(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Only the rows without keys: the others are other requirements' business."""
    got = subject.forward(cases.problem(case, dtype)).output
    expected = cases.expected_output(case, dtype)
    if got.shape != expected.shape:
        yield compare("output", got, expected, 0.0)
        return
    empty = np.broadcast_to(cases.unseen(case)[0][:, None, :, None], expected.shape)
    yield compare("rows without keys", np.where(empty, got, 0.0), np.zeros_like(expected), 0.0)


@CHECKS.add("SIG-26", cases.UNCHANGED)
def inputs_are_left_alone(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Bit by bit, poison included."""
    problem = cases.problem(case, dtype)
    result = subject.forward_backward(problem) if case.backward else subject.forward(problem)
    yield equal("inputs written to", result.mutated, ())


@CHECKS.add("SIG-27", cases.RESULT_DTYPES)
def results_have_the_inputs_dtype(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Dtypes by name, and shapes."""
    problem = cases.problem(case, dtype)
    result = subject.forward_backward(problem) if case.backward else subject.forward(problem)
    yield equal("dtype of the output", result.dtype, dtype)
    yield equal("shape of the output", result.output.shape, problem.grad.shape)
    for name, found in result.gradient_dtypes.items():
        yield equal(f"dtype of the gradient of {name}", found, dtype, name)


@CHECKS.add("SIG-28", cases.OWN_INPUTS)
def each_call_answers_its_own_inputs(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Two problems of one shape, and the first again."""
    for seed in (0, 1, 0):
        yield output(subject, case.again(seed), dtype)


@CHECKS.add("SIG-29", cases.SAME_BITS)
def the_same_call_gives_the_same_bits(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Against itself, not against the law."""
    first, second = (subject.forward(cases.problem(case, dtype)).output for _ in range(2))
    yield compare("output of the second call", second, first, 0.0)


@CHECKS.add("SIG-30", cases.GRADIENTS)
def gradient_of_v(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """dV alone."""
    yield gradient("v", subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


@CHECKS.add("SIG-31", cases.GRADIENTS)
def gradient_of_q(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """dQ alone."""
    yield gradient("q", subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


@CHECKS.add("SIG-32", cases.GRADIENTS)
def gradient_of_k(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """dK alone."""
    yield gradient("k", subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


def _gradients(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The gradients that the case asks for, without the output."""
    yield from _asked_for(subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


for _requirement, _cases in {
    "SIG-33": cases.GRADIENT_OPTIONS,
    "SIG-38": cases.SATURATED_GRADIENTS,
    "SIG-39": cases.GRADIENT_STRIDES,
    "SIG-40": cases.GRADIENT_TAILS,
    "SIG-41": cases.MANY_GRADIENT_TERMS,
    "SIG-48": cases.PACKED_GRADIENTS,
    "SIG-54": cases.FROZEN,
}.items():
    CHECKS.add(_requirement, _cases)(_gradients)


@CHECKS.add("SIG-42", cases.KEPT)
def a_result_outlives_the_next_call(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Between a call and the reading of its output, and between its forward and backward pass, stands another call."""
    problem, other = cases.problem(case, dtype), cases.problem(case.again(1), dtype)
    if not hasattr(subject, "interrupted"):
        raise Unsupported("has no method interrupted(problem, other, backward), which solves another problem in between")
    result = subject.interrupted(problem, other, case.backward)
    yield output(subject, case, dtype, result)
    for name in result.gradients:
        yield gradient(name, subject, case, dtype, result)


@CHECKS.add("SIG-43", cases.RECORDED)
def recording_gradients_changes_no_output(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Each of the two may be off by its bound. What is wrong both times is other requirements' business."""
    problem = cases.problem(case, dtype)
    recorded, plain = subject.forward_backward(problem).output, subject.forward(problem).output
    yield compare(
        "output with gradients recorded", recorded, plain, 2 * cases.output_bound(case, dtype, subject.numerical_class)
    )


def _products(subject: Any, case: AttentionCase, dtype: str) -> Iterator[tuple[str, Product, Array]]:
    """What the twin knows of each result of the case, and the error found in it."""
    if not is_modelled(subject.numerical_class):
        raise Unsupported(f"the class {subject.numerical_class} stores more than the twin's model of rounding errors has")
    problem, known = cases.problem(case, dtype), cases.twins(case, dtype, subject.numerical_class)
    found = subject.forward_backward(problem) if case.backward else subject.forward(problem)
    results = {f"gradient of {name}": x for name, x in found.gradients.items()} if case.backward else {"output": found.output}
    for name, result in results.items():
        product = known[name]
        if result.shape != product.value.shape:
            raise ValueError(f"{name} has shape {result.shape}, expected {product.value.shape}")
        yield name, product, result - product.value


def _leans(subject: Any, case: AttentionCase, dtype: str, constant: bool) -> Iterator[Comparison]:
    for name, product, error in _products(subject, case, dtype):
        for direction in ("",) if constant else product.directions:
            w = product.weights(direction)
            along = f"along {direction}" if direction else "weighted mean"
            yield compare(f"error of the {name}, {along}", float((w * error).sum()), 0.0, product.lean_limit(w))


@CHECKS.add("SIG-44", cases.TWIN_POSITIVE)
def errors_have_no_mean(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The sum of the errors, each in units of its own spread."""
    yield from _leans(subject, case, dtype, constant=True)


@CHECKS.add("SIG-45", cases.TWIN)
def errors_spread_no_further_than_roundings(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The root of the sum of squares, and the largest."""
    for name, product, error in _products(subject, case, dtype):
        spread = float(np.sqrt(((error / product.sigma()) ** 2).sum()))
        yield compare(f"spread of the errors of the {name}", spread, 0.0, product.spread_limit())
        yield compare(f"error of the {name}", error, np.zeros_like(error), product.largest_limit())


@CHECKS.add("SIG-46", cases.TWIN)
def errors_follow_nothing(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The errors projected on the value, and on its derivatives in bias and scale."""
    yield from _leans(subject, case, dtype, constant=False)


@CHECKS.add("SIG-50", cases.LONG_SQUARE)
def places_of_a_long_square(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Output and gradients at some queries and keys: the law itself would need all the scores."""
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


@CHECKS.add("SIG-50", cases.LONG_UNIFORM)
def every_place_of_a_long_square(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
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


@CHECKS.add("SIG-34", cases.SHARED_HEAD_GRADIENTS)
def shared_heads_add_their_gradients(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """dK and dV, which have fewer heads than dQ."""
    result = subject.forward_backward(cases.problem(case, dtype))
    for name in ("k", "v"):
        yield gradient(name, subject, case, dtype, result)


@CHECKS.add("SIG-35", cases.UNREACHED)
def what_nothing_reaches_has_no_gradient(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Only the rows of dQ, dK and dV that no visible pair touches."""
    result = subject.forward_backward(cases.problem(case, dtype))
    queries, keys = cases.unseen(case)
    for name, rows in (("q", queries), ("k", keys), ("v", keys)):
        got, expected = result.gradients[name], getattr(cases.expected_gradients(case, dtype), name)
        if got.shape != expected.shape:
            yield compare(f"gradient of {name}", got, expected, 0.0)
            continue
        untouched = np.broadcast_to(rows[:, None, :, None], expected.shape)
        yield compare(f"unreached gradient of {name}", np.where(untouched, got, 0.0), np.zeros_like(expected), 0.0)


@CHECKS.add("SIG-36", cases.BIAS_GRADIENT)
def gradient_of_the_bias(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """One number."""
    yield gradient("bias", subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))


@CHECKS.add("SIG-37", cases.SLOPE_GRADIENT)
def gradient_of_the_slopes(subject: Any, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """One number per head."""
    yield gradient("alibi_slopes", subject, case, dtype, subject.forward_backward(cases.problem(case, dtype)))
