"""Requirements on everything together: every two values of what implementations branch on, in sizes, options and contexts."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np

from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level
from conformance.sigmoid_attention import cases
from conformance.sigmoid_attention.cases import AttentionCase
from conformance.sigmoid_attention.harness.problem import (
    ONE_TENSOR,
    Array,
    AttentionProblem,
    AttentionResult,
    AttentionSubject,
)
from conformance.sigmoid_attention.interactions import context_cases, definition_cases, option_cases, reading_cases
from conformance.sigmoid_attention.requirements.comparisons import REQUIREMENTS, gradient, gradient_of, output, results, solve
from conformance.sigmoid_attention.requirements.statistics import (
    along,
    errors_have_no_mean,
    errors_of,
    errors_spread_no_further_than_roundings,
)
from impls.implementation import Unsupported
from reference.rounding import format_of, gamma
from reference.sigmoid_attention import class_of, is_modelled, second_derivatives

REQUIREMENTS.add(
    "SIG-57", Level.DEFINITION, "Sizes, bias, causal masks and gradients each mean the same whatever the others are.",
    source="section 2, definition of SigmoidAttn; section 4 and Algorithm 2 (backward)",
    catches="a path for one size that is wrong under one bias, mask or pass",
    cases=(
        *definition_cases(),
        AttentionCase(id="keys-beyond-1024", heads=1, kv_heads=1, nq=3, nk=1100, bias=-7.0, backward=True),
        AttentionCase(id="queries-beyond-1024", heads=1, kv_heads=1, nq=1100, nk=3, bias=-7.0, backward=True),
    ),
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-58", Level.INTERFACE, "Every option and memory layout means the same whatever the others are.",
    source="section 2, definition of SigmoidAttn; kernel, docstring of flash_attn_func",
    catches="an option that a path for another option, a size or a layout leaves out",
    cases=option_cases(),
)(results)  # fmt: skip

REQUIREMENTS.add(
    "SIG-59", Level.READING, "So do ALiBi, and masks of unequal lengths.",
    source="kernel, docstring of flash_attn_func", catches="an alignment that a path for another option forgets",
    cases=(
        *reading_cases(),
        AttentionCase(id="causal-more-keys", nq=65, nk=102, dv=32, causal=True, bias=-1.0, backward=True),
        AttentionCase(id="window-more-keys", nq=65, nk=102, d=64, causal=True, window=(40, 0), bias=-1.0, backward=True),
        AttentionCase(id="slopes-of-rows", batch=3, heads=3, kv_heads=3, alibi=True, slope=0.2, slopes_by_row=True, bias=-1.0,
                      data="positive", backward=True, wanted=("alibi_slopes",)),
    ),
)(results)  # fmt: skip


@REQUIREMENTS.add(
    "SIG-60",
    Level.INTERFACE,
    "The results are the same wherever the function is called: checkpointed, in a thread, twice, under autocast or vmap.",
    source="torch: what its users do with a differentiable function",
    catches="what is kept outside of the graph; memory given up in the first backward pass; inputs told apart by address",
    cases=(*context_cases(), *cases.IN_ONE_MEMORY),
)
def results_are_the_same_in_every_context(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Against the reference. Autocast, vmap, vjp and compilation may be refused."""
    problem = cases.problem(case, dtype)
    if case.context == "other sizes":
        for other in cases.siblings(case):
            with contextlib.suppress(Exception):  # what it does with those is for other cases to judge
                solve(subject, other, dtype)
        result = solve(subject, case, dtype)
    elif case.context == "another call":
        result = _method(subject, "interrupted")(problem, cases.problem(case.again(1), dtype), case.backward)
    else:
        result = _method(subject, "in_context")(case.context, problem, case.backward)
    numerical_class = subject.numerical_class
    if case.context == "autocast":
        if class_of(numerical_class).activation_error or class_of(numerical_class).renormalised:
            raise Unsupported(f"how the class {numerical_class} rounds under autocast is not known")
        numerical_class = "materialised"  # there every product may be stored in bfloat16
    bound = cases.output_bound(case, dtype, numerical_class)
    yield compare("output", result.output, cases.expected_output(case, dtype), bound)
    first, *others = ONE_TENSOR.get(case.context, ("",))
    for name, found in result.gradients.items():
        names = (name, *others) if name == first else (name,)
        yield compare(f"gradient of {' and '.join(names)}", found, *_summed(names, case, dtype, numerical_class))


def _summed(names: tuple[str, ...], case: AttentionCase, dtype: str, numerical_class: str) -> tuple[Array, Array]:
    """The sum of some gradients, added up in ``dtype``, with its bound."""
    expected, bounds = cases.expected_gradients(case, dtype), cases.gradient_bounds(case, dtype, numerical_class)
    if len(names) == 1:
        return getattr(expected, names[0]), getattr(bounds, names[0])
    each, bound = [getattr(expected, name) for name in names], sum(getattr(bounds, name) for name in names)
    adding = gamma(len(names), format_of(dtype).unit_roundoff) * (sum(np.abs(x) for x in each) + bound)
    return np.asarray(sum(each)), np.asarray(bound + adding)


def _method(subject: AttentionSubject, name: str) -> Any:
    method = getattr(subject, name, None)
    if method is None:
        raise Unsupported(f"has no method {name}(...), see conformance/sigmoid_attention/harness/problem.py")
    return method


@REQUIREMENTS.add(
    "SIG-56",
    Level.INTERFACE,
    "Second derivatives and forward-mode derivatives are right, or refused.",
    source="torch: an autograd function that cannot be differentiated twice says so (once_differentiable)",
    catches="a backward pass of numbers that autograd takes for constants; a tangent that is dropped",
    cases=cases.BEYOND_FIRST,
)
def derivatives_beyond_the_first(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Along one direction of q. A refusal of both is unsupported."""
    problem = cases.problem(case, dtype)
    direction = format_of(dtype).round(np.random.default_rng(1).normal(size=problem.q.shape))
    known = second_derivatives(
        problem.q, problem.k, problem.v, problem.grad, direction, dtype=dtype, numerical_class=subject.numerical_class,
        **problem.reference_options(),
    )  # fmt: skip
    if case.backward:
        for name, found in _method(subject, "second_derivatives")(problem, direction).items():
            yield compare(f"second derivative in {name}", found, *known[name])
    else:
        yield compare("forward-mode derivative", _method(subject, "tangent")(problem, direction), *known["tangent"])


REQUIREMENTS.check("SIG-44", cases.RANDOM_SUMS)(errors_have_no_mean)


@REQUIREMENTS.add(
    "SIG-55",
    Level.READING,
    "A NaN or an infinity in a key or a value reaches no query that may not see it.",
    source="reference (a masked pair has weight 0); the paper is silent, and torch's own attention multiplies it by 0",
    catches="padding, or what a causal mask hides, that is multiplied by a weight of 0, which makes it NaN",
    cases=cases.UNSEEN,
)
def what_no_query_sees_reaches_nothing(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The results are those of the same call with ordinary numbers there."""
    clean = cases.without_hidden(case)
    problem = cases.problem(case, dtype)
    result = subject.forward_backward(problem) if case.backward else subject.forward(problem)
    yield output(subject, clean, dtype, result)
    for name in result.gradients:
        yield gradient(name, subject, clean, dtype, result)


REQUIREMENTS.check("SIG-55", cases.UNSEEN_BY_SOME)(results)
REQUIREMENTS.check("SIG-13", cases.MANY_ROWS[:2])(results)
REQUIREMENTS.check("SIG-21", cases.MANY_ROWS[2:])(results)
REQUIREMENTS.check("SIG-45", cases.RANDOM_LONG)(errors_spread_no_further_than_roundings)
REQUIREMENTS.check("SIG-47", cases.PACKED_WITHOUT_QUERIES)(results)
REQUIREMENTS.check("SIG-06", cases.EXTREME_QUERIES)(results)
REQUIREMENTS.check("SIG-17", cases.WINDOW_OF_BLOCKS)(results)
for _id, _option in (("SIG-36", "bias"), ("SIG-37", "alibi_slopes")):
    REQUIREMENTS.check(_id, cases.OPTIONS_OF_SINGLE_QUERIES)(gradient_of(_option))
REQUIREMENTS.check("SIG-59", cases.DECODING)(results)


@REQUIREMENTS.check("SIG-28", cases.REPEATED_CALLS)
def each_call_answers_all_its_arguments(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Two calls of the same arrays but for one argument, and one more before the second's backward pass."""
    problem, repeated = cases.problem(case, dtype), _method(subject, "repeated")
    for argument, other in cases.one_argument_changed(case, dtype).items():
        try:
            found = repeated(problem, other, case.context, case.backward)
        except Unsupported:
            if argument in ("q", "k", "v"):
                raise
            continue
        for each, result, when in zip((other, problem), found, ("of", "after"), strict=True):
            yield from _compared(subject, each, result, f" {when} another {argument}")


@REQUIREMENTS.add(
    "SIG-61",
    Level.INTERFACE,
    "Under autocast a bias, a scale and slopes are rounded only where scores are.",
    source="torch: autocast casts what matrix products multiply; a decorator of its kernels (custom_fwd) casts every tensor",
    catches="options in float32 that are cast to 16 bits along with q, k and v",
    cases=cases.AUTOCAST_OPTIONS,
)
def autocast_leaves_options_alone(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """Within the declared class."""
    yield from _compared(subject, cases.problem(case, dtype), _under_autocast(subject, case, dtype))


@REQUIREMENTS.check("SIG-61", cases.AUTOCAST_SUMS)
def autocast_leaves_sums_alone(subject: AttentionSubject, case: AttentionCase, dtype: str) -> Iterator[Comparison]:
    """The gradients of options, which are sums in float32, by the statistical model."""
    if not is_modelled(subject.numerical_class):
        raise Unsupported(f"the class {subject.numerical_class} stores more than the statistical model of rounding errors has")
    found = _under_autocast(subject, case, dtype)
    for name, product, error in errors_of(found, subject, case, dtype):
        if name.removeprefix("gradient of ") in case.wanted:
            yield along(name, product, error, "")


def _under_autocast(subject: AttentionSubject, case: AttentionCase, dtype: str) -> AttentionResult:
    """The result of the case there. What stores scores in 16 bits, as torch's own products do there, is beyond the declared
    class whatever the options, and may round those too: unsupported.
    """
    if class_of(subject.numerical_class).activation_error or class_of(subject.numerical_class).renormalised:
        raise Unsupported(f"the class {subject.numerical_class} hides what an option's rounding does")
    in_context, exact = _method(subject, "in_context"), cases.in_exact_options(case, dtype)
    if not all(each.passed for each in _compared(subject, exact, in_context(case.context, exact, case.backward))):
        raise Unsupported("under autocast it stores scores in 16 bits, whose rounding no option's can be told from")
    result: AttentionResult = in_context(case.context, cases.problem(case, dtype), case.backward)
    return result


def _compared(
    subject: AttentionSubject, problem: AttentionProblem, result: AttentionResult, when: str = ""
) -> Iterator[Comparison]:
    """Everything that is in a result."""
    known = cases.expected_of(problem, bool(result.gradients), subject.numerical_class)
    yield compare(f"output{when}", result.output, *known["output"])
    for name, found in result.gradients.items():
        yield compare(f"gradient of {name}{when}", found, *known[name])
