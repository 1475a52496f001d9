"""Rows of the covering arrays become the runs that they describe, and rule out no more than what an optimizer lacks."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from conformance.ademamix.cases import EXACT, RunCase, TensorCase, expected_of, problem_of, several, single
from conformance.ademamix.harness.problem import GroupProblem, OptimizerProblem, TensorProblem
from conformance.ademamix.harness.run_loop import OptimizerPlug
from conformance.ademamix.harness.torch_backend import TorchBackend
from conformance.ademamix.interactions import (
    DEFINITION,
    GROUPS,
    INTERFACE,
    MEMORY,
    RUNS,
    TENSORS,
    _beside,
    definition_cases,
    interface_cases,
    memory_cases,
    shape_of,
)
from conformance.ademamix.nested_cases import nested_cases
from conformance.engine.interactions import combinations, covered
from impls.ademamix.optimizer import AdEMAMix
from impls.implementation import Unsupported
from reference.ademamix import Hyperparameters


@pytest.mark.parametrize("size", [1, 255, 256, 257, 4097, 2**16, 2**20 + 3])
@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_a_shape_has_its_size_and_rank(size: int, rank: int) -> None:
    assert (math.prod(shape_of(size, rank)), len(shape_of(size, rank))) == (size, rank)


@pytest.mark.parametrize(
    ("array", "cases"), [(DEFINITION, definition_cases()), (INTERFACE, interface_cases()), (MEMORY, memory_cases())]
)
def test_the_cases_cover_every_pair_that_the_constraints_allow(array: Any, cases: tuple[RunCase, ...]) -> None:
    pairs = covered(cases)
    for first in array.factors:
        for second in array.factors[array.factors.index(first) + 1 :]:
            for one in first.values:
                for other in second.values:
                    given = {first.name: one, second.name: other}
                    alone = [c for c in array.constraints if set(c.names) <= set(given)]
                    allowed = all(c.holds(*(given[name] for name in c.names)) for c in alone)
                    found = ((first.name, str(one)), (second.name, str(other))) in pairs
                    # Constraints of a third factor may forbid a pair, too: ln(0) in beta3's warm-up, say.
                    assert not found or allowed
                    if allowed and not found:
                        assert {first.name, second.name} & {n for c in array.constraints for n in c.names}, given
    assert len({case.id for case in cases}) == len(cases) == len({case.combination for case in cases})


def test_empty_tensors_stand_where_the_row_says() -> None:
    tensor = TensorCase((7,))
    for where, places in (("first", [0]), ("in the middle", [1, 3]), ("last", [4]), ("none", [])):
        tensors = _beside(tensor, 5, where)
        assert [n for n, each in enumerate(tensors) if each.shape == (0,)] == places
        assert tensor in tensors
        assert len(tensors) == 5


def test_eight_bit_blocks_may_be_of_neighbours_in_memory_or_in_the_tensor() -> None:
    """A bound of one order alone accused our own kernels, whose blocks lie in memory, of 0.4 % too large an error."""
    case = single("turned", EXACT, "graded", 3, shape=(64, 80), layout="transposed")
    other = single("turned", EXACT, "graded", 3, shape=(64, 80))
    ((turned,), (straight,)) = expected_of(case, "float32", "ratios-8bit"), expected_of(other, "float32", "ratios-8bit")
    assert np.array_equal(turned[-1].theta, straight[-1].theta)
    assert np.all(turned[-1].theta_bound >= straight[-1].theta_bound)
    assert np.any(turned[-1].theta_bound > straight[-1].theta_bound)
    ((wide,), (same,)) = expected_of(case, "float32", ""), expected_of(other, "float32", "")
    assert np.array_equal(wide[-1].theta_bound, same[-1].theta_bound)


class NumbersOnly(AdEMAMix):
    """Refuses a learning rate that is a tensor."""

    def __init__(self, params: Any, lr: Any = 1e-3, **options: Any) -> None:
        if torch.is_tensor(lr):
            raise TypeError("lr must be a float")
        super().__init__(params, lr, **options)


class Undone(AdEMAMix):
    """Forgets, when it is copied, what its step needs."""

    def __init__(self, params: Any, lr: Any = 1e-3, **options: Any) -> None:
        self.needed = 1
        super().__init__(params, lr, **options)

    def step(self, closure: Any = None) -> Any:
        assert self.needed
        return super().step(closure)


class Locked(AdEMAMix):
    """Cannot be copied or pickled."""

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise TypeError("cannot pickle 'Locked' object")


def _problem(**options: Any) -> OptimizerProblem:
    gradients = tuple(np.full(3, step + 1.0) for step in range(4))
    tensors = (
        TensorProblem(np.ones(3), gradients),
        TensorProblem(np.ones(3), gradients, layout="at an offset", gradient_layout="at an offset"),
    )
    return OptimizerProblem("float32", (GroupProblem(tensors, Hyperparameters(), (0.25,) * 4),), **options)


def _run(optimizer: Any, **options: Any) -> Any:
    settings = {"names": {name: name for name in ("betas", "alpha", "eps", "weight_decay", "t_alpha", "t_beta3")}}
    return TorchBackend(OptimizerPlug(optimizer, settings), _problem(**options)).outcome().parameters


@pytest.mark.parametrize("saved_as", ["pickled", "copied"])
@pytest.mark.parametrize("rate_tensors", ["", "written", "replaced"])
def test_a_duplicate_goes_on_as_the_optimizer_would_have(saved_as: str, rate_tensors: str) -> None:
    whole = _run(AdEMAMix)
    parts = _run(AdEMAMix, resume_after=2, saved_as=saved_as, rate_tensors=rate_tensors)
    assert all(np.array_equal(a, b) for one, other in zip(whole, parts, strict=True) for a, b in zip(one, other, strict=True))


def test_what_cannot_be_duplicated_or_takes_no_tensor_is_unsupported_and_what_breaks_is_an_error() -> None:
    with pytest.raises(Unsupported, match="learning rates that are tensors: TypeError: lr must be a float"):
        _run(NumbersOnly, rate_tensors="written", literal=True)
    with pytest.raises(Unsupported, match="Locked cannot be duplicated: cannot pickle 'Locked' object"):
        _run(Locked, resume_after=2, saved_as="copied")
    with pytest.raises(AttributeError, match="needed"):
        _run(Undone, resume_after=2, saved_as="copied")


def test_features_rule_out_the_rows_that_use_them() -> None:
    needs = {case.id: case.needs for case in (*definition_cases(), *interface_cases())}
    plain = replace(definition_cases()[0], groups=definition_cases()[0].groups)
    assert plain.needs == needs[plain.id]
    for feature in ("schedules", "separate-warmups", "beta1-zero", "groups", "strided", "weight-decay"):
        assert any(feature in each for each in needs.values()), feature
        assert any(feature not in each for each in needs.values()), feature


def test_what_a_tensor_is_meets_what_its_group_and_its_run_are() -> None:
    """Every two values of which one belongs to a tensor, a group or a run and the other to another of them."""
    cases = nested_cases()
    met: set[tuple[str, str, str, str]] = set()
    for case in cases:
        assert case.combination is not None
        run, rows = case.combination, case.combinations
        starts = [n for n, row in enumerate(rows) if "warm-ups" in dict(row.labels)]
        for start, end in itertools.pairwise((*starts, len(rows))):
            group, tensors = rows[start], rows[start + 1 : end]
            pairs = [(run, group), *((one, tensor) for tensor in tensors for one in (run, group))]
            met.update((*a, *b) for one, other in pairs for a in one.labels for b in other.labels)
    used = [row for case in cases for row in case.combinations]
    assert set(used) >= {*combinations(GROUPS), *combinations(TENSORS)}
    arrays = (RUNS, GROUPS, TENSORS)
    layers = [[(factor.name, str(value)) for factor in array.factors for value in factor.values] for array in arrays]
    wanted = {(*a, *b) for one, other in itertools.combinations(layers, 2) for a in one for b in other}
    assert 0.97 * len(wanted) < len(met & wanted), sorted(wanted - met)


class MovesParameters(AdEMAMix):
    """Puts parameters that are not contiguous into new memory, with the same values."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for parameter in self.param_groups[0]["params"]:
            parameter.data = parameter.data.contiguous()
        return loss


@pytest.mark.parametrize("options", [{}, {"resume_after": 2}, {"resume_after": 2, "saved_as": "copied"}])
def test_a_parameter_that_leaves_its_memory_is_seen(options: dict[str, Any]) -> None:
    case = several("two", EXACT, 3, TensorCase((3, 5)), TensorCase((3, 5), layout="transposed"), **options)
    for optimizer, moved in ((AdEMAMix, ()), (MovesParameters, (1,))):
        problem = problem_of(case, "float32")
        # a copy of a tensor has memory of its own, in the same order
        assert TorchBackend(OptimizerPlug(optimizer), problem).outcome().moved == moved, optimizer
