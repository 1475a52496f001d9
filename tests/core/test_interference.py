"""A side that slows the other, keeps its answers or leaves out work is reported; with scripted clocks and made-up cheats."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from conformance.benchmark import interference, measurement, timer
from conformance.benchmark.timer import HostClock, Work
from conformance.benchmark.workload import Prepared, Workload
from impls.implementation import Implementation


def test_replacing_the_clock_of_the_time_module_does_not_stop_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "perf_counter_ns", iter([10**9, 3 * 10**9]).__next__)
    monkeypatch.setattr(time, "perf_counter_ns", lambda: 10**30)
    clock = HostClock()
    assert clock.time(clock.ready(int, 1)) == 2.0


def test_the_clock_is_bound_before_anybody_can_replace_it() -> None:
    assert (timer.perf_counter_ns, timer.process_time_ns) == (time.perf_counter_ns, time.process_time_ns)


def test_the_cpus_at_work_are_counted_beside_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timer, "perf_counter_ns", iter([0, 2 * 10**9]).__next__)
    monkeypatch.setattr(timer, "process_time_ns", iter([10**9, 4 * 10**9]).__next__)
    clock = HostClock()
    work = clock.ready(int, 1)
    assert clock.time(work) == work.wall_s == 2.0
    assert work.cpu_s == 3.0


def test_more_cpus_than_threads_were_set_are_told() -> None:
    assert interference.cpus_used([Work(int, 1, wall_s=1.0, cpu_s=1.5), Work(int, 1, wall_s=1.0, cpu_s=2.5)]) == 2.0
    assert interference.cpus_used([]) is None
    threads: dict[str, int | str] = {"torch": 1, "blas": 1, "jax": "not pinned"}
    (warning,) = interference.more_cpus(2.0, threads, 8)
    assert "2.0 CPUs were at work on it, where 1 thread had been set" in warning
    assert interference.more_cpus(1.4, threads, 8) == []
    assert interference.more_cpus(2.0, threads, 1) == []
    assert interference.more_cpus(None, threads, 8) == []


def test_threads_that_go_on_are_told_with_the_implementation_after_which_they_were_first_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(interference, "_LEFT_BY", {})

    def process(cpus: float) -> tuple[Callable[[float], Any], Callable[[], float]]:
        now = [0.0]

        def sleep(seconds: float) -> None:
            now[0] += seconds * cpus

        return sleep, lambda: now[0]

    assert interference.threads_left("rig/quiet", *process(0.1)) == ""
    assert "used 1.0 CPUs while nothing was called" in interference.threads_left("rig/culprit", *process(1.0))
    assert "first seen after rig/culprit was timed" in interference.threads_left("rig/next", *process(1.0))
    assert interference.threads_left("rig/quiet", *process(0.0)) == ""
    assert "first seen after rig/other" in interference.threads_left("rig/other", *process(1.0))


def fresh_or_kept(new_s: float, again_s: float) -> Prepared:
    """Work that takes one time on new inputs and another on those that it has just seen."""
    seen = [False]

    def run() -> float:
        seconds = again_s if seen[0] else new_s
        seen[0] = True
        return seconds

    def renew(number: int) -> None:
        assert number >= 0
        seen[0] = False

    return Prepared(run, tuple, renew=renew)


@pytest.mark.parametrize(
    ("own", "baseline", "warned"),
    [
        ((0.01, 0.01), (0.01, 0.01), False),
        ((0.02, 0.01), (0.01, 0.01), True),
        ((0.02, 0.01), (0.02, 0.01), False),
        ((2.0, 1.0), (0.01, 0.01), False),
    ],
)
def test_answers_that_are_kept_are_told(own: tuple[float, float], baseline: tuple[float, float], warned: bool) -> None:
    found = interference.kept_results(fresh_or_kept(*own), fresh_or_kept(*baseline), lambda run: float(run()))
    assert ("it keeps results" in found) == warned


def test_what_cannot_be_renewed_is_not_accused_of_keeping_answers() -> None:
    prepared = Prepared(lambda: 1.0, tuple)
    assert interference.kept_results(prepared, None, lambda run: float(run())) == ""


OPTIMIZERS = """
from impls.ademamix.optimizer import AdEMAMix

class Honest(AdEMAMix):
    pass

class EverySecond(AdEMAMix):
    number = 0
    def step(self, closure=None):
        self.number += 1
        if self.number < 4 or self.number % 2:
            return super().step(closure)

class Late(AdEMAMix):
    number = 0
    def step(self, closure=None):
        self.number += 1
        super().step(closure)
        if self.number == 6:
            for group in self.param_groups:
                for parameter in group["params"]:
                    parameter.data.fill_(float("nan"))
"""

ATTENTIONS = """
import torch

def honest(q, k, v, *, scale=None, bias=0.0, causal=False):
    return torch.sigmoid(q @ k.mT * (scale or q.shape[-1] ** -0.5) + bias) @ v

calls = [0]
def lazy(q, k, v, *, scale=None, bias=0.0, causal=False):
    calls[0] += 1
    return honest(q, k, v) if calls[0] != 5 else torch.zeros_like(q)

buffer = []
def reused(q, k, v, *, scale=None, bias=0.0, causal=False):
    if not buffer:
        buffer.append(torch.empty_like(q))
    return buffer[0].copy_(honest(q, k, v))
"""


def made_ready(system: str, file: Path, text: str, name: str) -> Prepared:
    """The smallest quick workload of a system, for somebody's code."""
    from importlib import import_module

    file.write_text(text, encoding="utf-8")
    protocol = "torch-optimizer" if system == "ademamix" else "torch"
    # Declared, not tried out: that would use up the calls in which the code is right.
    implementation = Implementation(
        name=f"{system}/{name}", system=system, target=f"{file}:{name}", summary="", protocol=protocol
    )
    module = import_module(f"conformance.{system}.workloads")
    workload: Workload = next(w for w in module.WORKLOADS if w.quick and "cpu" in w.devices and not w.needs & {"causal"})
    prepared: Prepared = module.prepare(implementation, workload, "cpu")
    return prepared


@pytest.mark.parametrize(("name", "right"), [("Honest", True), ("EverySecond", False), ("Late", False)])
def test_an_optimizer_stands_where_all_its_timed_steps_lead(tmp_path: Path, name: str, right: bool) -> None:
    prepared = made_ready("ademamix", tmp_path / "optimizers.py", OPTIMIZERS, name)
    assert measurement._verified(prepared) <= 1
    for _ in range(9):
        prepared.run()
    if right:
        assert measurement._verified(prepared, timed=True) <= 1
    else:
        with pytest.raises(measurement.WrongAnswer, match=r"timed|when the clock stopped"):
            measurement._verified(prepared, timed=True)


def test_where_no_bound_reaches_parameters_must_be_finite_at_least() -> None:
    from conformance.ademamix import workloads

    load = workloads.load_of(next(w for w in workloads.WORKLOADS if w.id == "bfloat16-1e6"))
    strict, told = workloads.numerical_class(""), [workloads.ToldStep(0, 0)] * 9
    for value, right in ((1.0, True), (float("nan"), False)):
        values = [np.full(len(start), value) for start in load.starts]
        assert all(each.passed for each in workloads._verify_timed(load, values, told, [value] * 9, strict)) == right


@pytest.mark.parametrize(("name", "right"), [("honest", True), ("lazy", False)])
def test_the_last_timed_attention_is_compared_with_the_reference(tmp_path: Path, name: str, right: bool) -> None:
    prepared = made_ready("sigmoid_attention", tmp_path / "attentions.py", ATTENTIONS, name)
    assert prepared.renew is not None
    for number in range(5):
        prepared.renew(number)
        prepared.run()
    if right:
        assert measurement._verified(prepared, timed=True) <= 1
    else:
        with pytest.raises(measurement.WrongAnswer):
            measurement._verified(prepared, timed=True)


def test_a_result_that_a_later_call_writes_over_is_wrong(tmp_path: Path) -> None:
    measurement._verified(made_ready("sigmoid_attention", tmp_path / "honest.py", ATTENTIONS, "honest"))
    with pytest.raises(measurement.WrongAnswer, match="output of an earlier call"):
        measurement._verified(made_ready("sigmoid_attention", tmp_path / "reused.py", ATTENTIONS, "reused"))


def test_flags_that_slow_all_of_torch_down_are_left_to_who_set_them() -> None:
    import torch

    from conformance.engine.isolation import process_state_of

    def flags() -> tuple[Any, ...]:
        return torch.is_anomaly_enabled(), torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()

    before = flags()
    with process_state_of("a/culprit"):
        torch.autograd.set_detect_anomaly(True)
        torch.set_float32_matmul_precision("medium")
        torch.use_deterministic_algorithms(True)
    assert flags() == before
    with process_state_of("a/culprit"):
        assert flags() == (True, "medium", True)
    assert flags() == before


@pytest.mark.parametrize(("spinning", "sleeps"), [(0, 0), (7, 7), (10**6, 250)])
def test_threads_that_spin_are_waited_for_but_not_for_ever(spinning: int, sleeps: int) -> None:
    slept: list[float] = []
    interference.rest(slept.append, lambda: 1 if len(slept) < spinning else 0)
    assert len(slept) == sleeps


def test_threads_that_run_or_wait_for_a_cpu_are_counted_the_calling_one_aside(tmp_path: Path) -> None:
    """A folder of threads that is made up, as the kernel has it in ``/proc/self/task``."""
    for number, state in ((threading.get_native_id(), "R"), (1, "R"), (2, "S"), (3, "R"), (4, "D")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "stat").write_text(f"{number} (a name) R) {state} 1 1 1")
    (tmp_path / "5").mkdir()  # it has ended meanwhile
    assert interference.others_running(tmp_path) == 2
    assert interference.others_running() >= 0, "the machine's own are readable"


def test_where_no_state_is_told_cpu_time_is_looked_at_for_long_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    used = [0.0]

    def sleep(seconds: float) -> None:
        used[0] += 3 * seconds

    monkeypatch.setattr(interference, "time", SimpleNamespace(sleep=sleep, process_time=lambda: used[0]))
    assert interference.others_running(tmp_path / "none") == 3
    assert used[0] == 3 * interference.WATCHED_S


@pytest.mark.parametrize(("own", "beside", "alone", "undermined"), [
    (1.2, 8.0, 0.6, True),  # slower than the baseline by itself, faster than the baseline that it slows down
    (0.5, 8.0, 0.6, False),  # faster than either
    (1.2, 1.3, 1.25, False),  # the baseline was not slowed down, the machine drifts
])  # fmt: skip
def test_nothing_is_faster_than_a_baseline_only_because_it_slows_it_down(
    own: float, beside: float, alone: float, undermined: bool
) -> None:
    assert bool(interference.undermined(own, beside, alone)) is undermined
