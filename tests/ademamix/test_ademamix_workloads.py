"""A timed step is verified at the size that is timed, its least memory traffic is stated, no meaningless speed is taken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from conformance.ademamix import workloads
from impls.ademamix.registry import IMPLEMENTATIONS
from reference.rounding import BFLOAT16

BY_NAME = {implementation.name: implementation for implementation in IMPLEMENTATIONS}
SMALL = next(w for w in workloads.WORKLOADS if w.id == "float32-1e5")
MANY = replace(SMALL, amount=3000.0, parameters={"count": 3000, "tensors": 3, "states": "float32"})
EIGHT_BITS = replace(SMALL, amount=20_000.0, parameters={"count": 20_000, "tensors": 2, "states": "8bit"})


def test_baseline_and_workloads_name_what_exists() -> None:
    assert workloads.BASELINE in BY_NAME
    assert len({w.id for w in workloads.WORKLOADS}) == len(workloads.WORKLOADS)
    assert all(w.amount == w.parameters["count"] for w in workloads.WORKLOADS)


def test_floor_is_five_reads_and_four_writes() -> None:
    for workload in workloads.WORKLOADS:
        narrow = 4 if workload.dtype == "float32" else 2  # gradient and parameter
        moment = {"float32": 4, "bfloat16": 2, "8bit": 1 + 4 / 256}[workload.parameters["states"]]
        assert workload.bytes_moved == workload.amount * (2 * narrow + 3 * moment + narrow + 3 * moment)


def test_workloads_of_a_family_differ_in_their_scale_alone() -> None:
    families: dict[str, list[workloads.Workload]] = {}
    for workload in workloads.WORKLOADS:
        families.setdefault(workload.family, []).append(workload)
    for members in families.values():
        assert len({member.scale_name for member in members}) == 1
        assert len({member.dtype for member in members}) == 1
        scales = [member.scale for member in members]
        assert scales == sorted(set(scales))
    assert [m.scale for m in families["float32-tensors"]] == [1, 10, 100, 1000]


def test_implementations_are_timed_where_the_bytes_of_their_moments_are_counted() -> None:
    workloads.prepare(BY_NAME["ademamix/cpu-8bit"], EIGHT_BITS, "cpu")
    workloads.prepare(BY_NAME[workloads.BASELINE], EIGHT_BITS, "cpu")
    assert workloads.unsuited(BY_NAME[workloads.BASELINE], EIGHT_BITS, "cpu") == ""
    assert workloads.unsuited(BY_NAME["ademamix/cpu"], EIGHT_BITS, "cpu").startswith("keeps moments in float32")
    assert workloads.unsuited(BY_NAME["ademamix/cpu-8bit"], MANY, "cpu").startswith("keeps moments in 8bit")


EIGHT_BIT = [name for name in ("ademamix/cpu-8bit", "ademamix/bitsandbytes-8bit") if not BY_NAME[name].missing()]


@pytest.mark.parametrize("name", EIGHT_BIT)
def test_right_8_bit_step_verifies_and_a_float32_bound_is_not_its(name: str) -> None:
    assert all(c.passed for c in workloads.prepare(BY_NAME[name], EIGHT_BITS, "cpu").verify())


@pytest.mark.parametrize("workload", [SMALL, MANY], ids=["one", "many"])
@pytest.mark.parametrize("name", ["ademamix/numpy", "ademamix/torch-eager"])
def test_right_step_verifies(name: str, workload: workloads.Workload) -> None:
    prepared = workloads.prepare(BY_NAME[name], workload, "cpu")
    for _ in range(3):
        prepared.run()
    comparisons = list(prepared.verify())
    assert comparisons
    assert all(c.passed for c in comparisons)
    assert max(c.margin for c in comparisons) > 0.01


@pytest.mark.parametrize("bug", ["tail_forgotten", "SchedulesFromZero", "numerator_corrected", "CoupledDecay"])
def test_wrong_step_does_not(bug: str) -> None:
    wrong = replace(BY_NAME["ademamix/numpy"], target=f"conformance.ademamix.mutants:{bug}")
    assert not all(c.passed for c in workloads.prepare(wrong, SMALL, "cpu").verify())


def test_speeds_that_mean_nothing_are_unsupported() -> None:
    assert "made to be compiled" in workloads.unsuited(BY_NAME["ademamix/heavyball"], SMALL, "cpu")
    assert "interpreter" in workloads.unsuited(BY_NAME["ademamix/triton"], SMALL, "cpu")


def test_inputs_are_values_of_their_dtype_and_never_zero() -> None:
    drawn = workloads._rounded(np.random.default_rng(0), 4096, "bfloat16")
    exact = np.random.default_rng(0).standard_normal(4096, dtype=np.float32)
    np.testing.assert_array_equal(drawn, BFLOAT16.round(exact))
    load = workloads.load_of(SMALL)
    assert all(np.all(array != 0) for array in (*load.starts, *load.gradients))
