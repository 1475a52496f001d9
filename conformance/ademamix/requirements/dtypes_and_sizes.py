"""Parameters of several dtypes beside each other, and tensors too large for 32-bit offsets."""

from __future__ import annotations

from collections.abc import Iterator

from conformance.ademamix import cases
from conformance.ademamix.cases import HugeCase, RunCase, problem_of
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.ademamix.requirements.base import REQUIREMENTS, compare_all, follow
from conformance.engine.comparison import Comparison
from conformance.engine.requirement import Level
from impls.implementation import Unsupported
from reference.ademamix import bounded_trajectory, numerical_class


@REQUIREMENTS.add(
    "ADM-69",
    Level.INTERFACE,
    "Parameters of several dtypes may stand in one group, each computed and stored as if it were alone.",
    source="algorithm 1 is stated for one theta; the convention of torch.optim",
    catches="taking the dtype of the first one, or rounding all to it",
    cases=cases.SIDE_BY_SIDE,
)
def dtypes_stand_side_by_side(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    missing = {t.dtype for t in problem_of(case, dtype).tensors} - {"", *subject.dtypes}
    if missing:
        raise Unsupported(f"takes no {', '.join(sorted(missing))} parameters")
    yield from follow(subject, case, dtype)


@REQUIREMENTS.add(
    "ADM-61",
    Level.ROBUSTNESS,
    "Tensors of more than 2**31 elements are updated to their end.",
    source="algorithm 1 is elementwise",
    catches="offsets in 32 bits, which wrap",
    cases=cases.HUGE,
)
def huge_tensors_are_updated_to_their_end(subject: OptimizerSubject, case: HugeCase, dtype: str) -> Iterator[Comparison]:
    """At sampled places: the algorithm is elementwise, so what is sampled can be computed alone."""
    (start,), gradients, got = subject.run_sampled(case.huge)
    numerical = numerical_class(subject.numerical_class)
    expected = bounded_trajectory(start, gradients, case.huge.learning_rates, case.huge.hyper, dtype, numerical)
    yield compare_all("sampled elements after each step", got, list(expected), start)
