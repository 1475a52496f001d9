"""What is faster than the machine can be is a fault, with an allowance for its own scatter and no more."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from conformance.benchmark import roofline
from conformance.benchmark.roofline import HEADROOM, Place, Rate, judged
from conformance.benchmark.timer import Work, nothing
from conformance.benchmark.workload import Workload
from conformance.records.schema import RooflineRecord
from impls import compiler
from tests.core.said import said

WORKLOAD = Workload(
    id="w", system="ademamix", description="", dtype="float32", amount=1.0, unit="parameters", bytes_moved=1e9, flops=None
)
PRODUCT = Workload(
    id="w", system="ademamix", description="", dtype="float32", amount=1.0, unit="FLOP", bytes_moved=1e9, flops=1e12
)
STEADY = {"copy_bytes_per_s": Rate(1e10, 1e10), "update_bytes_per_s": Rate(2e10, 2e10)}
"""The better of the two needs 0.05 s for 1e9 bytes."""


def test_the_share_is_the_least_time_by_the_median() -> None:
    found = judged(WORKLOAD, 0.1, 0.11, STEADY, {}, "warm")
    assert (found.rates, found.share) == (RooflineRecord(copy_bytes_per_s=1e10, update_bytes_per_s=2e10), 0.5)
    assert (found.fault, found.warning) == ("", "")


def test_faster_than_the_ceiling_with_its_headroom_is_a_fault_that_says_what_was_claimed() -> None:
    limit = 0.05 / HEADROOM
    found = judged(WORKLOAD, 0.01, 0.99 * limit, STEADY, {}, "cold")
    assert "claims 1e+09 B in 0.01 s, which is 1e+11 B/s; with a cold cache this machine does 2e+10 B/s" in found.fault
    assert "needs 0.05 s, and no less than 0.04 s" in found.fault


def test_the_upper_end_of_the_interval_decides() -> None:
    limit = 0.05 / HEADROOM
    assert judged(WORKLOAD, 0.9 * limit, 0.99 * limit, STEADY, {}, "warm").fault
    assert not judged(WORKLOAD, 0.9 * limit, 1.01 * limit, STEADY, {}, "warm").fault


def test_a_little_above_the_roofline_is_a_warning() -> None:
    found = judged(WORKLOAD, 0.045, 0.046, STEADY, {}, "warm")
    assert not found.fault
    assert found.warning == "above the measured roofline by 11%, within what that measurement allows"


def test_a_ceiling_that_scatters_a_little_allows_more() -> None:
    scattered = {"copy_bytes_per_s": Rate(2e10, 1.7e10)}
    assert judged(WORKLOAD, 0.035, 0.035, STEADY, {}, "warm").fault
    assert not judged(WORKLOAD, 0.035, 0.035, scattered, {}, "warm").fault


@pytest.mark.parametrize("seconds", [0.03, 3.0])
def test_a_ceiling_that_scatters_a_lot_gives_no_speed_to_anybody(seconds: float) -> None:
    found = judged(WORKLOAD, seconds, seconds, {"copy_bytes_per_s": Rate(2e10, 1e10)}, {}, "warm")
    assert (
        "could not be measured steadily, so no speed is shown: its best rate, 2e+10 B/s, is 2 times the median" in found.fault
    )
    assert (found.share, found.rates) == (None, RooflineRecord())


def test_a_ceiling_that_scatters_where_another_binds_takes_no_speed_away() -> None:
    product = {"matmul_flops_per_s": Rate(1e12, 1e12)}  # needs a second, the bytes a twentieth
    found = judged(PRODUCT, 2.0, 2.0, {"copy_bytes_per_s": Rate(2e10, 1e10)}, product, "warm")
    assert (found.fault, found.share) == ("", 0.5)
    product = {"matmul_flops_per_s": Rate(1e12, 5e11)}
    assert "steadily" in judged(PRODUCT, 2.0, 2.0, STEADY, product, "warm").fault


def test_an_unsteady_ceiling_is_measured_again_before_it_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    for moments, fault in (([1.0, 1.7e10], False), ([1.0, 1e10, 1.5e10], True)):
        left = [Rate(2e10, typical) for typical in moments]
        monkeypatch.setattr(roofline, "memory_rates", lambda *_, left=left: {"copy_bytes_per_s": left.pop(0)})
        assert bool(roofline.place(WORKLOAD, 1.0, 1.0, "cpu", "warm").fault) == fault
        assert left == [], "and no more often than needed"


def test_a_ceiling_that_is_passed_is_measured_once_more(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = [Rate(2e10, 2e10), Rate(2.2e10, 2e10), Rate(9e10, 9e10)]

    def rates(bytes_moved: int, device: str, cache: str) -> dict[str, Rate]:
        return {"copy_bytes_per_s": moments.pop(0)}

    monkeypatch.setattr(roofline, "memory_rates", rates)
    found = roofline.place(WORKLOAD, 0.047, 0.047, "cpu", "warm")
    assert (found.fault, found.warning) == ("", "")
    assert found.rates == RooflineRecord(copy_bytes_per_s=2.2e10)
    assert not roofline.place(WORKLOAD, 0.06, 0.06, "cpu", "warm").warning
    assert len(moments) == 1, "what lies below the ceiling is no reason to measure it again"
    assert roofline.place(WORKLOAD, 1e-4, 1e-4, "cpu", "warm").fault, "nor does a second time excuse everything"


def test_operations_count_as_well_as_bytes() -> None:
    product = {"matmul_flops_per_s": Rate(1e12, 1e12)}
    found = judged(PRODUCT, 2.0, 2.0, STEADY, product, "warm")
    assert found.share == 0.5
    assert "1e+12 FLOP in 0.5 s" in judged(PRODUCT, 0.5, 0.5, STEADY, product, "warm").fault


def test_a_library_s_product_is_no_ceiling_for_what_was_compiled_here(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = EachCallTakes(0.5)
    monkeypatch.setattr(roofline, "clock_for", lambda device: clock)
    monkeypatch.setattr(roofline, "allowed_cpus", lambda: (0,))
    rates = roofline.product_rates("float32", "cpu", "warm")
    assert rates.keys() == {"matmul_flops_per_s", "multiply_add_flops_per_s"}
    operations, _ = multiply_adds(roofline.ROUNDS, 1)
    assert rates["matmul_flops_per_s"] == Rate(2 * 1024**3 / 0.5, 2 * 1024**3 / 0.5)
    assert rates["multiply_add_flops_per_s"] == Rate(operations / 0.5, operations / 0.5)
    slow = {"matmul_flops_per_s": Rate(1e11, 1e11)}
    assert judged(PRODUCT, 3.0, 3.0, STEADY, slow, "warm").fault
    assert not judged(PRODUCT, 3.0, 3.0, STEADY, {**slow, "multiply_add_flops_per_s": Rate(4e11, 4e11)}, "warm").fault
    assert set(roofline.product_rates("float64", "cpu", "warm")) == {"matmul_flops_per_s"}

    def missing(source: object) -> None:
        raise compiler.BackendUnavailable("no compiler")

    monkeypatch.setattr(compiler, "library", missing)
    assert set(roofline.product_rates("float32", "cpu", "warm")) == {"matmul_flops_per_s"}


class EachCallTakes:
    """A clock that makes no call and says that each took so long."""

    name = "scripted"

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.observe: Callable[[], Any] = nothing

    def ready(self, run: Callable[[], Any], calls: int) -> Work:
        return Work(run, calls)

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        return self.seconds * work.calls


def multiply_adds(rounds: int, threads: int) -> tuple[float, float]:
    """What the compiled multiply-adds count, and what they come to."""
    result = ctypes.c_float()
    function = compiler.library(roofline.SOURCE).multiply_adds
    function.restype = ctypes.c_double
    function.argtypes = [ctypes.c_int64, ctypes.c_int64, ctypes.c_float, ctypes.c_float, ctypes.POINTER(ctypes.c_float)]
    return float(function(rounds, threads, 0.5, 1.0, result)), result.value


def test_the_multiply_adds_that_are_counted_are_done_in_whole_vectors() -> None:
    operations, total = multiply_adds(10, 1)
    chains = np.arange(12.0)
    for _ in range(10):
        chains = chains * 0.5 + 1
    assert said(total) == said(chains.sum())
    assert operations / (2 * 12 * 10) in (4, 8, 16)
    assert multiply_adds(30, 1)[0] == 3 * operations


def test_without_a_floor_nothing_is_claimed() -> None:
    nothing = Workload(id="w", system="rig", description="", dtype="", amount=1.0, unit="characters")
    assert judged(nothing, 1e-9, 1e-9, {}, {}, "warm") == Place()
