"""Rules that need more than following a run: exact equality, refusals, several readings, how far the slow EMA moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from conformance.ademamix import cases
from conformance.ademamix.cases import RunCase, expected_of, problem_of
from conformance.ademamix.harness.problem import OptimizerProblem
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.ademamix.requirements.base import REQUIREMENTS, compare_all, compare_parameters, follow, stacked, way
from conformance.engine.comparison import Comparison, compare, equal
from conformance.engine.requirement import Level
from impls.implementation import Unsupported
from reference.ademamix import numerical_class, trajectory
from reference.rounding import format_of

HALF_WAY = 0.5
"""The share of the way that the requirement lets an implementation miss (ADM-48)."""


@REQUIREMENTS.add(
    "ADM-25",
    Level.DEFINITION,
    "A gradient of zero moves nothing before the first gradient that is not zero, and gives no NaN.",
    source="algorithm 1 evaluated: 0 / (0 + eps) = 0",
    catches="0 / 0 in a denominator without eps, or a direction normalised by it",
    cases=cases.ZERO_GRADIENTS,
)
def zero_gradients_move_nothing(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Equality, not a bound: nothing is added to the parameter."""
    problem = problem_of(case, dtype)
    eps = problem.groups[0].hyper.eps
    if numerical_class(subject.numerical_class).operations == "parameter" and not format_of(dtype).round(eps):
        raise Unsupported(f"declares that all is rounded to the parameter's dtype ({subject.numerical_class}), where eps is 0")
    (got,) = subject.run(problem).parameters
    start = problem.tensors[0].start
    yield compare("parameter after each step", np.stack(got), np.stack([start] * case.steps), 0.0)


@REQUIREMENTS.add(
    "ADM-27",
    Level.ROBUSTNESS,
    "A NaN or infinity in one element of a gradient touches no other element.",
    source="algorithm 1 is elementwise",
    catches="skipping or zeroing a whole tensor, or a norm taken over it",
    cases=(cases.NON_FINITE,),
)
def non_finite_elements_stay_alone(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """No claim is made about the element itself: the paper is silent, and skipping it is as honest as NaN."""
    problem = problem_of(case, dtype)
    (group,) = problem.groups
    spoilt = []
    for number, (tensor, value) in enumerate(zip(group.tensors, (np.nan, np.inf), strict=True)):
        gradients = [g.copy() for g in tensor.gradients if g is not None]
        gradients[1 + number].flat[2] = value
        spoilt.append(replace(tensor, gradients=tuple(gradients)))
    outcome = subject.run(OptimizerProblem(dtype, (replace(group, tensors=tuple(spoilt)),)))
    expected = expected_of(case, dtype, subject.numerical_class)
    for number, (got, snapshots) in enumerate(zip(outcome.parameters, expected, strict=True)):
        bound = stacked(snapshots, "theta_bound")
        bound.reshape(case.steps, -1)[1 + number :, 2] = np.inf
        theta = stacked(snapshots, "theta")
        yield compare(
            f"the other elements of parameter {number}",
            np.stack(got),
            theta,
            bound,
            effect=way(group.tensors[number].start, theta),
        )


@REQUIREMENTS.add(
    "ADM-28",
    Level.INTERFACE,
    "A parameter without a gradient does not move, decay included.",
    source="the convention of torch.optim; the paper is silent",
    catches="decaying, or going on by momentum, where there is no gradient",
    cases=(cases.MISSING,),
)
def missing_gradient_moves_nothing(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Bit for bit while the gradient is missing. Nothing is asked of the clock after it is back: the paper is silent."""
    problem = problem_of(case, dtype)
    outcome = subject.run(problem)
    gone, never = (np.stack(got) for got in outcome.parameters[1:])
    yield compare("parameter while its gradient is missing", gone[3:], np.stack([gone[2]] * 3), 0.0)
    yield compare("parameter that never has a gradient", never, np.stack([problem.tensors[2].start] * case.steps), 0.0)
    expected = expected_of(case, dtype, subject.numerical_class)[0]
    yield compare_all("the others", outcome.parameters[0], expected, problem.tensors[0].start)


@REQUIREMENTS.add(
    "ADM-36",
    Level.DEFINITION,
    "The moments of a low-precision parameter are kept in float32.",
    source="appendix B.1 (optimizer states in float32)",
    catches="moments in bfloat16, where 1 - beta2 = 0.001 is below half a unit in the last place and nu stands still",
    cases=cases.WIDE_MOMENTS,
)
def moments_are_wide(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """A declaration of narrower moments is a declared gap here; elsewhere it widens the bound."""
    if numerical_class(subject.numerical_class).states == "parameter":
        raise Unsupported(f"declares moments in the parameter's dtype ({subject.numerical_class})")
    yield from follow(subject, case, dtype)


@REQUIREMENTS.add(
    "ADM-38",
    Level.ROBUSTNESS,
    "The same run gives the same bits.",
    source="algorithm 1 has no randomness",
    catches="a race, or an uninitialised buffer",
    cases=cases.REPEAT,
)
def same_run_same_bits(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    first, second = (np.stack(subject.run(problem).parameters[0]) for _ in range(2))
    yield compare("the second run", second, first, 0.0)


@REQUIREMENTS.add(
    "ADM-39",
    Level.INTERFACE,
    "The gradient is left as it was.",
    source="algorithm 1 only reads g; a training loop may still log or accumulate it",
    catches="averaging, decaying or scaling in the gradient's own memory",
    cases=cases.GRADIENT_KEPT,
)
def gradient_is_left_alone(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    changed = subject.run(problem_of(case, dtype)).changed_gradients
    yield equal("(tensor, step) of changed gradients", tuple(changed), ())


@REQUIREMENTS.add(
    "ADM-40",
    Level.INTERFACE,
    "Where the moments can be read, they are the algorithm's.",
    source="algorithm 1, lines 9 to 11",
    catches="moments kept bias-corrected or scaled, which another implementation cannot take over",
    cases=cases.MOMENTS,
)
def moments_are_the_algorithms(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    outcome = subject.run(problem_of(case, dtype))
    if not outcome.moments:
        raise Unsupported("its moments cannot be read")
    last = expected_of(case, dtype, subject.numerical_class)[0][-1]
    for name in ("m1", "m2", "nu"):
        if name in outcome.moments[0]:
            yield compare(name, outcome.moments[0][name], getattr(last, name), getattr(last, f"{name}_bound"))


@REQUIREMENTS.add(
    "ADM-45",
    Level.READING,
    "After skipped steps the schedules go on by the parameter's own updates, or by the steps of its group.",
    source="algorithm 1, lines 5 and 6; the paper is silent about missing gradients, so either clock conforms",
    catches="schedules that start again, stand still, or count calls of the optimizer for other groups",
    cases=cases.SKIPPED_SCHEDULE,
)
def schedules_go_on_after_skipped_steps(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """By the parameter's own updates or by its group's steps; what comes nearer is compared, with its own bound."""
    problem = problem_of(case, dtype)
    outcome = subject.run(problem)
    own = expected_of(case, dtype, subject.numerical_class)
    by_group = expected_of(case, dtype, subject.numerical_class, True)
    for number, (got, tensor) in enumerate(zip(outcome.parameters, problem.tensors, strict=True)):
        name = f"parameter {number} after each step"
        candidates = [compare_all(name, got, clock[number], tensor.start) for clock in (own, by_group)]
        yield min(candidates, key=lambda c: c.margin)


@REQUIREMENTS.add(
    "ADM-46",
    Level.INTERFACE,
    "A sparse gradient is refused by an error that says so, before anything has moved, or treated as a dense one.",
    source="the convention of torch.optim (Adam and AdamW refuse, SparseAdam is another algorithm)",
    catches="updating the given rows alone: the others neither decay nor forget",
    cases=cases.SPARSE,
)
def sparse_gradients_are_refused(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    outcome = subject.run(problem)
    if not outcome.refused:
        yield from compare_parameters(outcome, case, dtype, subject.numerical_class)
        return
    said = any(word in outcome.refused.lower() for word in ("sparse", "dense"))
    yield equal("the error says that the gradient is sparse", said or outcome.refused, True)
    for number, (got, tensor) in enumerate(zip(outcome.parameters, problem.tensors, strict=True)):
        yield compare(f"parameter {number} after the refusal", got[-1], tensor.start, 0.0)


@REQUIREMENTS.add(
    "ADM-47",
    Level.INTERFACE,
    "Elements may share memory: an expanded gradient is read as it shows, such a parameter refused or updated as one.",
    source="the convention of torch.optim; torch.Tensor.expand",
    catches="walking the memory in order, past the one place that all elements share",
    cases=cases.SHARED_MEMORY,
)
def shared_memory_is_understood(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """A refusal is honest for a parameter, which may be half written by then: torch's own errors come from within a step."""
    outcome = subject.run(problem_of(case, dtype))
    if outcome.refused:
        yield equal("refused", bool(outcome.refused), True)
    else:
        yield from compare_parameters(outcome, case, dtype, subject.numerical_class)


@REQUIREMENTS.add(
    "ADM-48",
    Level.DEFINITION,
    "Over a thousand steps the slow EMA makes at least half of the way that the algorithm makes.",
    source="algorithm 1, line 10, at the published beta3 = 0.9999; appendix B.1 (states in float32)",
    catches="16-bit moments rounded to nearest: 1 - beta3 is below half a unit in the last place, and m2 stands still",
    cases=cases.SLOW_EMA_MOVES,
)
def slow_average_moves(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
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


@REQUIREMENTS.add(
    "ADM-51",
    Level.INTERFACE,
    "A resumed run has the bits of one that was never interrupted.",
    source="algorithm 1: the state is m1, m2, nu and t",
    catches="a state that is rounded, or a scalar that is formed anew another way, on saving",
    cases=cases.SAME_BITS,
)
def resumed_run_has_the_same_bits(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    problem = problem_of(case, dtype)
    whole = subject.run(replace(problem, resume_after=None)).parameters[0]
    yield compare("parameter of the resumed run", np.stack(subject.run(problem).parameters[0]), np.stack(whole), 0.0)


@REQUIREMENTS.add(
    "ADM-54",
    Level.INTERFACE,
    "step(closure) calls the closure once, with gradients enabled, uses what it leaves, and returns its loss.",
    source="torch.optim.Optimizer.step",
    catches="a closure that is not called, is called without recording gradients, or whose loss is dropped",
    cases=cases.CLOSURE,
)
def closure_is_called_once(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Follow the run; where there is a closure, compare its calls too."""
    outcome = subject.run(problem_of(case, dtype))
    if case.use == "closure":
        expected = ((1, True, True),) * case.steps
        yield equal("(calls, gradients enabled, loss returned) of each step", tuple(outcome.closures), expected)
    yield from compare_parameters(outcome, case, dtype, subject.numerical_class)
