"""Each rule of AdEMAMix, put to an optimizer: mostly a run, held against the law after every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from conformance.ademamix import cases, stochastic_rounding
from conformance.ademamix.cases import HugeCase, RunCase, law_of, problem_of
from conformance.ademamix.harness.problem import Array, Outcome, Problem
from conformance.engine.check import Checks
from conformance.engine.comparison import Comparison, compare, equal
from impls.implementation import Unsupported
from reference.ademamix import Snapshot, bounded_trajectory, numerical_class, trajectory
from reference.rounding import format_of

CHECKS = Checks()


def follow(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Run the case and compare every parameter after every step."""
    yield from compare_parameters(subject.run(problem_of(case, dtype)), case, dtype, subject.numerical_class)


def compare_parameters(outcome: Outcome, case: RunCase, dtype: str, class_name: str) -> Iterator[Comparison]:
    """One comparison per tensor; the index of its worst place begins with the step, counted from 0."""
    expected = law_of(case, dtype, class_name)
    for number, (got, law) in enumerate(zip(outcome.parameters, expected, strict=True)):
        name = "parameter after each step" if len(expected) == 1 else f"parameter {number} after each step"
        yield compare(name, np.stack(got), np.stack([s.theta for s in law]), np.stack([s.theta_bound for s in law]))


for _requirement, _cases in (
    ("ADM-01", cases.FAST_AVERAGE),
    ("ADM-02", cases.FAST_CORRECTION),
    ("ADM-03", cases.SLOW_UNCORRECTED),
    ("ADM-04", cases.SLOW_AVERAGE),
    ("ADM-05", cases.MIXTURE),
    ("ADM-06", cases.SECOND_AVERAGE),
    ("ADM-07", cases.SECOND_CORRECTION),
    ("ADM-08", cases.EPS_OUTSIDE),
    ("ADM-09", cases.EPS_ADDED),
    ("ADM-10", cases.EPS_AFTER),
    ("ADM-11", cases.DECAY_DECOUPLED),
    ("ADM-12", cases.DECAY_RATE),
    ("ADM-13", cases.DECAY_BEFORE),
    ("ADM-14", cases.RATE_PER_STEP),
    ("ADM-15", cases.ALPHA_SHAPE),
    ("ADM-16", cases.BETA3_SHAPE),
    ("ADM-17", cases.FIRST_STEP),
    ("ADM-18", cases.NO_EPSILON_IN_LOG),
    ("ADM-19", cases.SCHEDULE_END),
    ("ADM-20", cases.NO_SCHEDULE),
    ("ADM-21", cases.WARMUP_LENGTHS),
    ("ADM-22", cases.SEPARATE_WARMUPS),
    ("ADM-23", cases.BETA1_ZERO),
    ("ADM-24", cases.IS_ADAMW),
    ("ADM-26", cases.RANGE),
    ("ADM-29", cases.SEVERAL_TENSORS),
    ("ADM-30", cases.SEVERAL_GROUPS),
    ("ADM-31", cases.SHAPES),
    ("ADM-32", cases.STRIDED),
    ("ADM-33", cases.RESUME),
    ("ADM-34", cases.LATE),
    ("ADM-35", cases.ONE_ROUNDING),
    ("ADM-37", cases.SWITCH),
    ("ADM-41", cases.PUBLISHED_RUN),
    ("ADM-42", cases.BETA1_ZERO_SCHEDULE),
    ("ADM-43", cases.ZERO_AFTERWARDS),
    ("ADM-44", cases.OWN_COUNT),
    ("ADM-49", cases.DECLARED_GAIN),
    ("ADM-50", cases.PLAIN_STATE),
    ("ADM-52", cases.FLAGS),
    ("ADM-53", cases.ACCUMULATED),
    ("ADM-55", cases.LOSS_SCALING),
    ("ADM-56", cases.COMPILED_STEP),
    ("ADM-57", cases.GRAPH),
    ("ADM-62", cases.LONG_RUN),
    ("ADM-63", cases.MAXIMIZED),
    ("ADM-66", cases.CHANGED),
    ("ADM-67", cases.RESTORED),
    ("ADM-68", cases.WRITTEN),
):
    CHECKS.add(_requirement, cases=_cases)(follow)


@CHECKS.add("ADM-25", cases=cases.ZERO_GRADIENTS)
def zero_gradients_move_nothing(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Equality, not a bound: nothing is added to the parameter."""
    problem = problem_of(case, dtype)
    eps = problem.groups[0].hyper.eps
    if numerical_class(subject.numerical_class).operations == "parameter" and not format_of(dtype).round(eps):
        raise Unsupported(f"declares that all is rounded to the parameter's dtype ({subject.numerical_class}), where eps is 0")
    (got,) = subject.run(problem).parameters
    start = problem.tensors[0].start
    yield compare("parameter after each step", np.stack(got), np.stack([start] * case.steps), 0.0)


@CHECKS.add("ADM-27", cases=(cases.NON_FINITE,))
def non_finite_elements_stay_alone(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """No claim is made about the element itself: the paper is silent, and skipping it is as honest as NaN."""
    problem = problem_of(case, dtype)
    (group,) = problem.groups
    spoilt = []
    touched = []
    for number, (tensor, value) in enumerate(zip(group.tensors, (np.nan, np.inf), strict=True)):
        gradients = [g.copy() for g in tensor.gradients if g is not None]
        gradients[1 + number].flat[2] = value
        spoilt.append(replace(tensor, gradients=tuple(gradients)))
        touched.append(1 + number)
    outcome = subject.run(Problem(dtype, (replace(group, tensors=tuple(spoilt)),)))
    expected = law_of(case, dtype, subject.numerical_class)
    for number, (got, law) in enumerate(zip(outcome.parameters, expected, strict=True)):
        bound = np.stack([s.theta_bound for s in law])
        bound.reshape(case.steps, -1)[touched[number] :, 2] = np.inf
        yield compare(f"the other elements of parameter {number}", np.stack(got), np.stack([s.theta for s in law]), bound)


@CHECKS.add("ADM-28", cases=(cases.MISSING,))
def missing_gradient_moves_nothing(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Bit for bit while the gradient is missing. Nothing is asked of the clock after it is back: the paper is silent."""
    problem = problem_of(case, dtype)
    outcome = subject.run(problem)
    present, gone, never = (np.stack(got) for got in outcome.parameters)
    yield compare("parameter while its gradient is missing", gone[3:], np.stack([gone[2]] * 3), 0.0)
    yield compare("parameter that never has a gradient", never, np.stack([problem.tensors[2].start] * case.steps), 0.0)
    law = law_of(case, dtype, subject.numerical_class)[0]
    yield compare("the others", present, np.stack([s.theta for s in law]), np.stack([s.theta_bound for s in law]))


@CHECKS.add("ADM-36", cases=cases.WIDE_MOMENTS)
def moments_are_wide(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """A declaration of narrower moments is a declared gap here; elsewhere it widens the bound."""
    if numerical_class(subject.numerical_class).states == "parameter":
        raise Unsupported(f"declares moments in the parameter's dtype ({subject.numerical_class})")
    yield from follow(subject, case, dtype)


@CHECKS.add("ADM-38", cases=cases.REPEAT)
def same_run_same_bits(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    first, second = (np.stack(subject.run(problem).parameters[0]) for _ in range(2))
    yield compare("the second run", second, first, 0.0)


@CHECKS.add("ADM-39", cases=cases.GRADIENT_KEPT)
def gradient_is_left_alone(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    changed = subject.run(problem_of(case, dtype)).changed_gradients
    yield equal("(tensor, step) of changed gradients", tuple(changed), ())


@CHECKS.add("ADM-40", cases=cases.MOMENTS)
def moments_are_the_algorithms(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    outcome = subject.run(problem_of(case, dtype))
    if not outcome.moments:
        raise Unsupported("its moments cannot be read")
    law = law_of(case, dtype, subject.numerical_class)[0][-1]
    for name in ("m1", "m2", "nu"):
        if name in outcome.moments[0]:
            yield compare(name, outcome.moments[0][name], getattr(law, name), getattr(law, f"{name}_bound"))


@CHECKS.add("ADM-45", cases=cases.SKIPPED_SCHEDULE)
def schedules_go_on_after_skipped_steps(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """By the parameter's own updates or by its group's steps; what comes nearer is held against its own bound."""
    outcome = subject.run(problem_of(case, dtype))
    own = law_of(case, dtype, subject.numerical_class)
    by_group = law_of(case, dtype, subject.numerical_class, group_clock=True)
    for number, got in enumerate(outcome.parameters):
        candidates = [
            compare(f"parameter {number} after each step", np.stack(got), _stacked(law, "theta"), _stacked(law, "theta_bound"))
            for law in (own[number], by_group[number])
        ]
        yield min(candidates, key=lambda c: c.margin)


def _stacked(law: Sequence[Snapshot], name: str) -> Array:
    return np.stack([getattr(s, name) for s in law])


@CHECKS.add("ADM-46", cases=cases.SPARSE)
def sparse_gradients_are_refused(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    outcome = subject.run(problem)
    if not outcome.refused:
        yield from compare_parameters(outcome, case, dtype, subject.numerical_class)
        return
    said = any(word in outcome.refused.lower() for word in ("sparse", "dense"))
    yield equal("the error says that the gradient is sparse", said or outcome.refused, True)
    for number, (got, tensor) in enumerate(zip(outcome.parameters, problem.tensors, strict=True)):
        yield compare(f"parameter {number} after the refusal", got[-1], tensor.start, 0.0)


@CHECKS.add("ADM-47", cases=cases.SHARED_MEMORY)
def shared_memory_is_understood(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """A refusal is honest for a parameter, which may be half written by then: torch's own errors come from within a step."""
    outcome = subject.run(problem_of(case, dtype))
    if outcome.refused:
        yield equal("refused", bool(outcome.refused), True)
    else:
        yield from compare_parameters(outcome, case, dtype, subject.numerical_class)


@CHECKS.add("ADM-48", cases=cases.SLOW_EMA_MOVES)
def slow_average_moves(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """The share of the way made: 1 by the algorithm, 0 where m2 stands still.

    Moments that are declared to be narrow and rounded to nearest are known to stand still: a declared gap, and measured.
    """
    problem = problem_of(case, dtype)
    (tensor,), hyper = problem.tensors, problem.groups[0].hyper
    (got,) = subject.run(problem).parameters
    theta, slow, settled = tensor.start, np.zeros(tensor.start.shape), cases.SETTLED_AFTER[case.id]
    for after, state in trajectory(tensor.start, tensor.gradients, problem.groups[0].learning_rates, hyper):
        theta, slow = after, state.m2 if state.t == settled else slow
    last = np.asarray(tensor.gradients[-1])
    stood = -(last + hyper.alpha * slow) / (np.abs(last) + hyper.eps)  # beta1 = beta2 = 0: the rest has no memory
    shares = (got[-1] - stood) / (theta - stood)
    medians = {name: float(np.median(shares[parity::2])) for parity, name in enumerate(("even", "odd"))}
    compared = [
        compare(f"share of the way that the slow EMA made, {name} elements", median, 1.0, HALF_WAY)
        for name, median in medians.items()
    ]
    numerical = numerical_class(subject.numerical_class)
    if numerical.states != "wide" and numerical.storing == "nearest" and not all(c.passed for c in compared):
        made = ", ".join(f"{median:.0%} ({name} elements)" for name, median in medians.items())
        raise Unsupported(f"declares {numerical.name}: of the way of the slow EMA at beta3 = {hyper.beta3} it made {made}")
    yield from compared


HALF_WAY = 0.5
"""What the requirement itself grants."""


@CHECKS.add("ADM-51", cases=cases.SAME_BITS)
def resumed_run_has_the_same_bits(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    whole = subject.run(replace(problem, resume_after=None)).parameters[0]
    yield compare("parameter of the resumed run", np.stack(subject.run(problem).parameters[0]), np.stack(whole), 0.0)


@CHECKS.add("ADM-54", cases=cases.CLOSURE)
def closure_is_called_once(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    outcome = subject.run(problem_of(case, dtype))
    expected = ((1, True, True),) * case.steps
    yield equal("(calls, gradients enabled, loss returned) of each step", tuple(outcome.closures), expected)
    yield from compare_parameters(outcome, case, dtype, subject.numerical_class)


def in_processes(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """All cases with processes are one piece of work, which starts them once; this one's outcome is taken from it."""
    jobs = tuple((problem_of(each, dtype), each.ranks) for each in cases.IN_PROCESSES)
    outcome = subject.run_in_processes(jobs, cases.IN_PROCESSES.index(case))
    yield from compare_parameters(outcome, case, dtype, subject.numerical_class)
    for rank, others in enumerate(outcome.replicas, start=1):
        for number, (got, first) in enumerate(zip(others, outcome.parameters, strict=True)):
            yield compare(f"parameter {number} on rank {rank}, and on rank 0", np.stack(got), np.stack(first), 0.0)


for _requirement, _cases in (("ADM-58", cases.DATA_PARALLEL), ("ADM-59", cases.SHARDED), ("ADM-60", cases.RESHARDED)):
    CHECKS.add(_requirement, cases=_cases)(in_processes)


CHECKS.add("ADM-64", cases=stochastic_rounding.MEANS)(stochastic_rounding.keeps_the_mean)
CHECKS.add("ADM-65", cases=stochastic_rounding.DRAWS)(stochastic_rounding.draws_anew)


@CHECKS.add("ADM-69", cases=cases.SIDE_BY_SIDE)
def dtypes_stand_side_by_side(subject: Any, case: RunCase, dtype: str) -> Iterator[Comparison]:
    missing = {t.dtype for t in problem_of(case, dtype).tensors} - {"", *subject.dtypes}
    if missing:
        raise Unsupported(f"takes no {', '.join(sorted(missing))} parameters")
    yield from follow(subject, case, dtype)


@CHECKS.add("ADM-61", cases=cases.HUGE)
def huge_tensors_are_updated_to_their_end(subject: Any, case: HugeCase, dtype: str) -> Iterator[Comparison]:
    """At sampled places: the law is elementwise, so what is sampled is exact."""
    (start,), gradients, got = subject.run_sampled(case.huge)
    numerical = numerical_class(subject.numerical_class)
    law = list(bounded_trajectory(start, gradients, case.huge.learning_rates, case.huge.hyper, dtype, numerical))
    yield compare("sampled elements after each step", np.stack(got), _stacked(law, "theta"), _stacked(law, "theta_bound"))
