"""The requirements' registry, and the check that most of them have: a run, compared with the algorithm after every step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from conformance.ademamix.cases import RunCase, expected_of, problem_of
from conformance.ademamix.harness.problem import Array, RunOutcome
from conformance.ademamix.harness.subject import OptimizerSubject
from conformance.engine.comparison import Comparison, compare
from conformance.engine.requirement import Level, Requirements
from reference.ademamix import Snapshot

REQUIREMENTS = Requirements(
    "ADM",
    {
        "Averages": "1-5",
        "Denominator": "6-10",
        "Step and decay": "11-14",
        "Schedules": "15-22 42 73 74",
        "Special values": "23-27 43",
        "Precision": "35 36 41 48 49 62 64 65 69",
        "Groups": "28-30 34 44 45 66 75",
        "Shapes": "31 32 47 53 61 81",
        "Saved state": "33 37 40 50 51 67 76-79",
        "Calls": "38 39 46 52 54 55 63 68",
        "Distributed": "56-60",
        "Combinations": "70-72 80",
    },
)


def follow(subject: OptimizerSubject, case: RunCase, dtype: str) -> Iterator[Comparison]:
    """Run the case and compare every parameter after every step."""
    yield from compare_parameters(subject.run(problem_of(case, dtype)), case, dtype, subject.numerical_class)


def followed(id_: str, level: Level, statement: str, *, source: str, catches: str, cases: Iterable[RunCase]) -> None:
    """Declare a requirement whose check is `follow`."""
    REQUIREMENTS.add(id_, level, statement, source=source, catches=catches, cases=cases)(follow)


def compare_parameters(outcome: RunOutcome, case: RunCase, dtype: str, class_name: str) -> Iterator[Comparison]:
    """One comparison per tensor; the index of its worst place begins with the step, counted from 0."""
    expected, tensors = expected_of(case, dtype, class_name), problem_of(case, dtype).tensors
    for number, (got, snapshots, tensor) in enumerate(zip(outcome.parameters, expected, tensors, strict=True)):
        name = "parameter after each step" if len(expected) == 1 else f"parameter {number} after each step"
        yield compare_all(name, got, snapshots, tensor.start)


def compare_all(name: str, got: Sequence[Array], expected: Sequence[Snapshot], start: Array) -> Comparison:
    """One comparison of a parameter after all steps. Its effect is the way that each element goes."""
    theta = stacked(expected, "theta")
    return compare(name, np.stack(got), theta, stacked(expected, "theta_bound"), effect=way(start, theta))


def way(start: Array, theta: Array) -> Array:
    """How far each element goes, there and back, from its start through the values after each step."""
    return np.asarray(np.abs(np.diff(np.concatenate([start[None], theta]), axis=0)).sum(axis=0))


def stacked(expected: Sequence[Snapshot], name: str) -> Array:
    """A field of the snapshots, one row for each step."""
    return np.stack([getattr(snapshot, name) for snapshot in expected])
