"""A measurement is taken as docs/measuring.md says, on made-up clocks; no test here asserts a time."""

from __future__ import annotations

import gc
import math
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.benchmark import affinity, allocator, benchmark, cache, memory, roofline, sampler, statistics
from conformance.benchmark import measurement as taking
from conformance.benchmark.sampler import Buffers, SamplingPlan
from conformance.benchmark.telemetry import Observation
from conformance.benchmark.timer import DeviceClock, Work, nothing
from conformance.benchmark.workload import BenchmarkCase, Prepared, Workload
from conformance.engine.comparison import Comparison, equal
from impls.implementation import Implementation
from tests.core.said import said
from tests.core.test_measuring_clock import MadeUpDevice

ROOT = Path(__file__).resolve().parent.parent.parent


class ScriptedClock:
    """Says what each function "took", and keeps what happened in which order."""

    name = "scripted"

    def __init__(self, seconds: dict[str, float]) -> None:
        self.seconds, self.order = seconds, []
        self.observe: Callable[[], Any] = nothing

    order: list[str]

    def ready(self, run: Callable[[], Any], calls: int) -> Work:
        return Work(run, calls)

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        before()
        name = work.launch()
        self.order.append(name)
        self.observe()
        return self.seconds[name] * work.calls


def buffers(name: str, calls: int = 1, **more: Any) -> Buffers:
    return Buffers(Work(lambda: name, calls), lambda: name, **more)


def test_quads_are_a_b_b_a_or_their_mirror_image() -> None:
    clock = ScriptedClock({"own": 1.0, "baseline": 2.0})
    plan = SamplingPlan(1, 1, (4,), 0.95)
    sampler.sample([buffers("own")], [buffers("baseline")], sampler.taker(clock, nothing), plan, 1.0)
    letters = "".join({"own": "b", "baseline": "a"}[name] for name in clock.order)
    assert letters == "abba" + "baab" + "baab" + "abba"


def test_the_process_comes_to_rest_whenever_the_other_side_takes_its_turn() -> None:
    clock = ScriptedClock({"own": 1.0, "baseline": 2.0})
    sampler.sample(
        [buffers("own")],
        [buffers("baseline")],
        sampler.taker(clock, nothing),
        SamplingPlan(1, 1, (2,), 0.95),
        1.0,
        rest=lambda: clock.order.append("rest"),
    )
    letters = "".join({"own": "b", "baseline": "a", "rest": "-"}[name] for name in clock.order)
    assert letters == "a-bb-a-b-aa-b"


def test_samples_are_seconds_per_call() -> None:
    # Powers of two, so that scaling by the number of calls and back is exact.
    clock = ScriptedClock({"own": 0.25, "baseline": 0.5})
    found = sampler.sample(
        [buffers("own", 8)], [buffers("baseline", 4)], sampler.taker(clock, nothing), SamplingPlan(8, 4, (2,), 0.95), 1.0
    )
    assert (found.own, found.baseline) == ([0.25] * 4, [0.5] * 4)


def test_each_quad_is_taken_on_the_next_set_of_buffers() -> None:
    clock = ScriptedClock({f"{side}{i}": 1.0 for side in ("own", "baseline") for i in range(3)})
    own, other = ([buffers(f"{side}{i}") for i in range(3)] for side in ("own", "baseline"))
    sampler.sample(own, other, sampler.taker(clock, nothing), SamplingPlan(1, 1, (6,), 0.95), 1.0)
    assert [{name[-1] for name in clock.order[4 * q : 4 * q + 4]} for q in range(6)] == [{"0"}, {"1"}, {"2"}] * 2


def test_every_sample_gets_inputs_that_no_other_saw() -> None:
    clock = ScriptedClock({"own": 1.0, "baseline": 1.0})
    seen: list[int] = []
    for evict in (None, nothing):
        sides = [buffers(name, renew=seen.append) for name in ("own", "baseline")]
        sampler.sample(sides[:1], sides[1:], sampler.taker(clock, evict), SamplingPlan(1, 1, (8,), 0.95), 1.0)
    assert len(seen) == len(set(seen)) == 2 * 8 * 4


def test_warm_means_right_after_the_same_work_and_cold_after_emptying_the_cache() -> None:
    happened: list[str] = []
    work = Buffers(Work(lambda: happened.append("timed") or "own", 1), lambda: happened.append("untimed"))
    clock = ScriptedClock({"own": 1.0})
    sampler.taker(clock, None, lambda: happened.append("mark"))(work, 1)
    assert happened == ["untimed", "mark", "timed"]
    happened.clear()
    sampler.taker(clock, lambda: happened.append("evict"), lambda: happened.append("mark"))(work, 1)
    assert happened == ["evict", "mark", "timed"]


def test_a_pilot_that_was_too_hopeful_gives_up_the_looks_to_come() -> None:
    now = [0.0]

    def take(each: Buffers, number: int) -> float:
        now[0] += 1.0
        return 1.0 + number % 7  # far from tight

    found = sampler.sample(
        [buffers("own")], [buffers("baseline")], take, SamplingPlan(1, 1, (8, 16, 32, 64), 0.9875), 60.0, lambda: now[0]
    )
    assert (found.looks, found.stopped, len(found.own)) == (2, "budget", 32)


def test_the_plan_follows_from_the_pilot() -> None:
    assert sampler.plan_for(1, 1, 0.01, 0.7).looks == (8, 16, 32, 64)
    for quad_s in (1e-6, 1e-3, 0.02, 0.05, 0.3, 100.0):
        plan = sampler.plan_for(1, 1, quad_s, 1.0)
        assert plan.enough == (plan.looks[-1] >= 6)
        assert plan.looks[-1] * quad_s <= max(1.0, sampler.PATIENCE, 2 * quad_s)
    assert not sampler.plan_for(1, 1, 1.0, 1.0).enough


def test_short_calls_are_repeated_within_a_sample() -> None:
    assert sampler.calls_for(1e-6) * 1e-6 >= sampler.SHORTEST_SAMPLE_S / 2
    assert sampler.calls_for(1.0) == 1


IMPLEMENTATIONS = {
    name: Implementation(name=f"rig/{name}", system="rig", target="none:none", summary="", protocol="function")
    for name in ("own", "baseline")
}


WORKLOAD = Workload(id="w", system="rig", description="", dtype="", amount=100.0, unit="characters", family="f", scale=7.0)


def workloads_of(prepare: Callable[[Implementation, Workload, str], Prepared], workload: Workload = WORKLOAD) -> Any:
    return SimpleNamespace(prepare=prepare, BASELINE="rig/baseline", WORKLOADS=(workload,))


def right() -> list[Comparison]:
    return [equal("answer", 1, 1)]


def measured(
    monkeypatch: pytest.MonkeyPatch,
    seconds: dict[str, float],
    own: str = "own",
    workload: Workload = WORKLOAD,
    noise: statistics.Noise = statistics.QUIET,
    quads: int = 64,
    beside_itself: float | None = None,
    alone: float = math.inf,
    **prepared: Any,
) -> tuple[benchmark.Measurement, ScriptedClock]:
    """An outcome whose times are those of a scripted clock, with time for so many quads, where A/A pairs showed this noise."""
    clock = ScriptedClock(seconds)

    def prepare(implementation: Implementation, of: Workload, device: str) -> Prepared:
        name = implementation.name.removeprefix("rig/")
        return Prepared(**{"run": lambda: name, "verify": right, "inputs": "none", **prepared})

    monkeypatch.setattr(taking, "clock_for", lambda device, **options: clock)
    monkeypatch.setattr(taking, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(taking.interference, "rest", lambda **_: None)
    monkeypatch.setattr(taking, "workloads_of", lambda system: workloads_of(prepare, workload))
    monkeypatch.setattr(taking, "_NOISE", {("rig", "w", "cpu", state): noise for state in cache.CONDITIONS})
    known = {("rig", "w", "cpu", state): beside_itself for state in cache.CONDITIONS} if beside_itself else {}
    monkeypatch.setattr(taking, "_BESIDE_ITSELF", known)
    monkeypatch.setattr(taking.baseline_alone, "seconds", lambda *_: dict.fromkeys(cache.CONDITIONS, alone))
    monkeypatch.setattr(taking, "plan_for", lambda a, b, quad_s, budget_s: SamplingPlan(a, b, *sampler.planned_looks(quads)))
    monkeypatch.setattr(taking, "cache_of", lambda _: SimpleNamespace(evict=nothing, bytes=2**25, assumed=False))
    measurement = BenchmarkCase(IMPLEMENTATIONS[own], IMPLEMENTATIONS["baseline"], workload, "cpu", True)
    return benchmark.measure(measurement), clock


def test_one_measurement_gives_a_line_for_each_state_of_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = measured(monkeypatch, {"own": 0.001, "baseline": 0.002})
    assert [line.cache for line in outcome.records] == ["warm", "cold"]
    for line in outcome.records:
        assert (line.verdict, line.message, line.decision) == ("measured", "", "faster")
        assert (line.ratio, line.ratio_low, line.ratio_high) == (2.0, 2.0, 2.0)
        assert (line.median_s, line.iqr_s, line.per_second) == (0.001, 0.0, 100_000.0)
        assert (line.stopped, line.looks, line.samples) == ("tight", 1, 16)
        assert line.reason == "the whole interval [2, 2] of the ratio lies above 1"
        assert (line.family, line.scale, line.margin, line.compile_s) == ("f", 7.0, 0.0, None)
        assert line.threads.keys() >= {"blas"}
        assert line.affinity == tuple(sorted(os.sched_getaffinity(0)))
        assert line.telemetry["host"]["cpus"] == list(line.affinity)
        assert line.memory_kind == "host"
    assert outcome.deciding.verdict == "measured"
    assert len(outcome.samples) == 16


def test_the_baseline_beside_itself_is_no_contest_and_sets_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = measured(monkeypatch, {"baseline": 0.002}, own="baseline")
    for line in outcome.records:
        assert (line.again, line.decision, line.ratio, line.noise) == (True, "baseline", 1.0, 1.0)
    assert {("rig", "w", "cpu", state): statistics.QUIET for state in cache.CONDITIONS} == taking._NOISE
    for certain, possible, word in (
        (1.3, 1.3, "faster"),
        (1.5, 1.5, "undecided"),
        (1.0, 1.39, "faster"),
        (1.0, 1.41, "undecided"),
    ):
        noise = statistics.Noise(certain, possible)
        beside, _ = measured(monkeypatch, {"own": 0.002, "baseline": 0.0028}, noise=noise)
        assert [(line.decision, line.noise) for line in beside.records] == [(word, certain)] * 2


def test_an_a_a_pair_that_differs_is_called_noisy_and_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    first: list[bool] = []

    def prepare(implementation: Implementation, of: Workload, device: str) -> Prepared:
        first.append(not first)
        name = "left" if first[-1] else "right"
        return Prepared(lambda: name, right)

    measured(monkeypatch, {"baseline": 1.0})
    clock = ScriptedClock({"left": 1.0, "right": 1.2})
    monkeypatch.setattr(taking, "clock_for", lambda device, **options: clock)
    monkeypatch.setattr(taking, "workloads_of", lambda system: workloads_of(prepare))
    baseline = IMPLEMENTATIONS["baseline"]
    outcome = benchmark.measure(BenchmarkCase(baseline, baseline, WORKLOAD, "cpu", True))
    assert "the baseline differs from itself by 20.0% or more here: this place is noisy" in outcome.deciding.warnings
    assert said(taking._NOISE["rig", "w", "cpu", "cold"].certain) == said(1.2)


def test_wrong_answers_have_no_speed_in_either_state(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = measured(monkeypatch, {"own": 1.0, "baseline": 1.0}, verify=lambda: [equal("answer", 1, 2)])
    assert [line.verdict for line in outcome.records] == ["wrong answer"] * 2
    assert [line.cache for line in outcome.records] == ["warm", "cold"]
    assert all(line.median_s is None for line in outcome.records)
    assert outcome.samples == []


def test_an_answer_that_turns_wrong_while_it_is_timed_has_no_speed(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[None] = []

    def verify() -> list[Comparison]:
        verified.append(None)
        return [equal("answer", 1, 1 if len(verified) < 2 else 2)]

    outcome, clock = measured(monkeypatch, {"own": 0.001, "baseline": 0.001}, verify=verify)
    assert outcome.deciding.verdict == "wrong answer"
    assert len(clock.order) > 20


def test_what_the_timed_calls_left_behind_is_verified_too(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = measured(
        monkeypatch, {"own": 0.001, "baseline": 0.001}, verify_timed=lambda: [equal("timed", 1, 2)], another=None
    )
    assert [line.verdict for line in outcome.records] == ["wrong answer"] * 2
    assert outcome.deciding.message.startswith("timed")


def test_the_last_verification_happens_under_the_conditions_of_the_timed_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    collecting: list[bool] = []

    def verify() -> list[Comparison]:
        collecting.append(gc.isenabled())
        return right()

    measured(monkeypatch, {"own": 0.001, "baseline": 0.001}, verify=verify)
    assert collecting == [True, False]


def test_a_baseline_that_is_slower_beside_it_than_beside_itself_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(taking.HostMonitor, "stop", lambda watch, calls: Observation())
    for usual, warned in ((0.002, False), (0.001, True)):
        outcome, _ = measured(monkeypatch, {"own": 0.001, "baseline": 0.002}, beside_itself=usual)
        for line in outcome.records:
            assert any("slows the baseline down" in warning for warning in line.warnings) == warned


def test_a_baseline_that_is_slower_than_in_a_process_of_its_own_makes_nobody_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    for alone, word in ((0.0019, "faster"), (0.0011, "faster"), (0.0009, "undecided")):
        outcome, _ = measured(monkeypatch, {"own": 0.001, "baseline": 0.002}, alone=alone)
        assert [line.decision for line in outcome.records] == [word] * 2
    assert "0.0009 s without it: what looks faster is a baseline slowed down" in outcome.deciding.reason
    monkeypatch.setattr(taking.baseline_alone, "seconds", lambda *_: "OSError: no such file")
    run = taking.BenchmarkRun(BenchmarkCase(IMPLEMENTATIONS["own"], IMPLEMENTATIONS["baseline"], WORKLOAD, "cpu", True))
    assert run._alone("warm") == (
        math.inf, ("the baseline was not timed in a process of its own, which failed: OSError: no such file",)
    )  # fmt: skip


def test_faster_than_the_machine_allows_is_a_measuring_fault(monkeypatch: pytest.MonkeyPatch) -> None:
    rates = {"copy_bytes_per_s": roofline.Rate(1e9, 1e9), "update_bytes_per_s": roofline.Rate(1e9, 1e9)}
    monkeypatch.setattr(roofline, "memory_rates", lambda *_: rates)
    workload = Workload(id="w", system="rig", description="", dtype="", amount=1.0, unit="characters", bytes_moved=1e9)
    outcome, _ = measured(monkeypatch, {"own": 0.5, "baseline": 2.0}, workload=workload)
    for line in outcome.records:
        assert line.verdict == "measuring fault"
        assert "claims 1e+09 B in 0.5 s" in line.message
        assert (line.median_s, line.ratio, line.per_second, line.roofline_share) == (None,) * 4
        assert line.decision == ""


def test_a_compiler_is_timed_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = {"own": 3.0, "baseline": 0.001}

    def verify() -> list[Comparison]:
        seconds["own"] = 0.001
        return right()

    outcome, _ = measured(monkeypatch, seconds, verify=verify)
    assert outcome.deciding.compile_s == 2.999
    assert outcome.deciding.median_s == 0.001


def test_work_for_which_there_is_no_time_is_undecided_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome, _ = measured(monkeypatch, {"own": 0.001, "baseline": 0.002}, quads=3)
    assert outcome.deciding.decision == "undecided"
    assert outcome.deciding.reason.startswith("there was time for 3 quads of samples only, and it takes 6")


def test_sets_of_buffers_are_made_for_both_sides_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def another(number: int) -> Prepared:
        made.append(number)
        return Prepared(run=lambda: "own", verify=right)

    measured(monkeypatch, {"own": 0.001, "baseline": 0.002}, another=another)
    assert len(made) == len(set(made)) == 2 * (taking.SETS - 1)


def test_a_run_whose_time_is_spent_begins_nothing_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(benchmark.UNTIL, "1.5")
    outcome, clock = measured(monkeypatch, {"own": 1.0, "baseline": 1.0})
    assert [line.verdict for line in outcome.records] == ["not run"] * 2
    assert "time that the run was given is spent" in outcome.deciding.message
    assert clock.order == []


def test_garbage_collection_is_kept_out_and_comes_back() -> None:
    assert gc.isenabled()
    with taking._no_collecting([]):
        assert not gc.isenabled()
        assert gc.get_freeze_count() > 0
    assert gc.isenabled()
    assert gc.get_freeze_count() == 0


def test_what_was_frozen_before_does_not_keep_garbage_for_ever() -> None:
    gc.freeze()  # as Python 3.12 does with objects of its own
    with taking._no_collecting([]):
        pass
    assert gc.get_freeze_count() == 0


def test_a_collector_that_was_let_in_is_told() -> None:
    warnings: list[str] = []
    with taking._no_collecting(warnings):
        gc.enable()
    assert "garbage collection was switched on" in warnings[0]
    assert gc.isenabled()


def on_device(
    monkeypatch: pytest.MonkeyPatch, device: MadeUpDevice, kernels: dict[str, int], waits: bool = False
) -> benchmark.Measurement:
    """A CUDA measurement from end to end, on a device that is made up."""

    def prepare(implementation: Implementation, of: Workload, where: str) -> Prepared:
        count = kernels[implementation.name.removeprefix("rig/")]

        def run() -> None:
            for _ in range(count):
                device.kernel(5e-6)
            if waits:
                device.synchronize()

        return Prepared(run, right)

    monkeypatch.setattr(taking, "clock_for", lambda device_name, **options: DeviceClock(device))
    monkeypatch.setattr(taking, "time", SimpleNamespace(monotonic=lambda: 0.0))
    monkeypatch.setattr(taking, "workloads_of", lambda system: workloads_of(prepare))
    monkeypatch.setattr(taking, "obstacle", lambda *_, **__: None)
    emptied = SimpleNamespace(evict=lambda: device.kernel(1e-3), bytes=2**25, assumed=False)
    monkeypatch.setattr(taking, "cache_of", lambda _: emptied)
    monkeypatch.setattr(taking, "open_reader", lambda: "not read: made up")
    monkeypatch.setattr(taking.memory, "peak_bytes", lambda *_, **__: {"peak_memory_bytes": 1, "memory_kind": "device"})
    monkeypatch.setattr(taking, "_NOISE", {})
    monkeypatch.setattr(taking.baseline_alone, "seconds", lambda *_: dict.fromkeys(cache.CONDITIONS, math.inf))
    taking._reader.cache_clear()
    own, baseline = (replace(IMPLEMENTATIONS[name], devices=("cuda",)) for name in ("own", "baseline"))
    try:
        return benchmark.measure(BenchmarkCase(own, baseline, WORKLOAD, "cuda", True))
    finally:
        taking._reader.cache_clear()


def test_on_a_device_long_work_is_queued_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = on_device(monkeypatch, MadeUpDevice(launch_s=20e-6), {"own": 40, "baseline": 80})
    for line in outcome.records:
        assert (line.verdict, line.decision) == ("measured", "faster"), line.message
        assert said(line.median_s) == said(40 * 5e-6)
        assert line.clock == "device events"
        assert line.launch == {"method": "queued ahead", "exposed_samples": 0, "graph": None}
        assert said(line.launch_s) == said(40 * 20e-6)
        assert line.peak_memory_bytes == 1
        assert line.telemetry["device"] == {"source": "not read: made up"}


def test_on_a_device_short_work_is_replayed_from_graphs_on_both_sides(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = on_device(monkeypatch, MadeUpDevice(launch_s=20e-6), {"own": 1, "baseline": 2})
    for line in outcome.records:
        assert line.launch["method"] == "graph", line
        assert said(line.median_s) == said(5e-6)
        assert said(line.ratio) == said(2.0)


def test_on_a_device_work_that_cannot_be_captured_says_that_launches_are_in_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = on_device(monkeypatch, MadeUpDevice(), {"own": 1, "baseline": 1}, waits=True)
    for line in outcome.records:
        assert line.launch["method"] == "queued ahead"
        assert "cannot be captured into a graph" in line.launch["graph"]
        assert line.launch["exposed_samples"] > 0
        assert any("hold the time of launches" in warning for warning in line.warnings)


def test_on_a_device_more_launches_than_a_queue_holds_are_replayed_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = on_device(monkeypatch, MadeUpDevice(queue=100), {"own": 300, "baseline": 300})
    for line in outcome.records:
        assert line.launch["method"] == "graph"
        assert said(line.median_s) == said(300 * 5e-6)


def test_threads_and_affinity_are_pinned_recorded_and_put_back() -> None:
    import torch

    before, cpus = torch.get_num_threads(), os.sched_getaffinity(0)
    torch.set_num_threads(before + 1)
    try:
        with affinity.pinned() as pins:
            assert torch.get_num_threads() == pins.threads["torch"] == affinity.wanted_threads()
            assert pins.affinity == tuple(sorted(cpus))
            assert "blas" in pins.threads
        assert torch.get_num_threads() == before + 1
        assert pins.warnings == []
        with affinity.pinned() as changed:
            torch.set_num_threads(changed.threads["torch"] + 1)
        assert "the number of torch's threads was changed" in changed.warnings[0]
    finally:
        torch.set_num_threads(before)
    assert os.sched_getaffinity(0) == cpus


def test_the_wanted_threads_are_the_variables_or_one_for_each_core(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "3,1")
    assert affinity.wanted_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "many")
    monkeypatch.setattr(affinity, "allowed_cpus", lambda: (0, 1, 2, 3))
    monkeypatch.setattr(affinity, "siblings", lambda cpus: ((0, 2), (1, 3)))
    assert affinity.wanted_threads() == 2


def test_siblings_and_caches_are_read_from_the_system(tmp_path: Path) -> None:
    for cpu, siblings, shared in ((0, "0,4", "0-1,4"), (1, "1", "0-1,4"), (2, "2", "2"), (4, "0,4", "0-1,4")):
        (tmp_path / f"cpu{cpu}/topology").mkdir(parents=True)
        (tmp_path / f"cpu{cpu}/topology/thread_siblings_list").write_text(siblings)
        levels = [(1, "Instruction", "64M"), (2, "Unified", "1M"), (3, "Unified", "32768K")]
        for index, (level, kind, size) in enumerate(levels):
            folder = tmp_path / f"cpu{cpu}/cache/index{index}"
            folder.mkdir(parents=True)
            for name, text in (("level", level), ("type", kind), ("size", size), ("shared_cpu_list", shared)):
                (folder / name).write_text(f"{text}\n")
    assert affinity.siblings((0, 1, 4), tmp_path) == ((0, 4), (1,))
    assert affinity.siblings((0, 7), tmp_path) is None
    assert cache.last_level_bytes((0, 1, 4), tmp_path) == 32 * 2**20
    assert cache.last_level_bytes((0, 2), tmp_path) == 64 * 2**20, "two caches, both of which must be emptied"
    assert cache.last_level_bytes((9,), tmp_path) is None


def test_emptying_the_cache_reads_enough_on_every_cpu() -> None:
    cpus = affinity.allowed_cpus()
    emptied = cache.HostCache(cpus, 2**20)
    read = sum(reader._words for reader in emptied._readers) * 8
    assert read >= max(2 * 2**20, cache.PRIVATE_BYTES * len(cpus))
    emptied.evict()
    emptied.evict()
    assert {thread.name for thread in threading.enumerate()} >= {f"evict-{cpu}" for cpu in cpus}
    assert cache.HostCache(cpus, None).assumed


def test_the_peak_of_a_call_is_what_it_takes_beyond_what_was_live(tmp_path: Path) -> None:
    """A process that is made up: the kernel's files, and a call that rises above what was live by 700 KiB."""

    def state(now: int, peak: int) -> None:
        (tmp_path / "status").write_text(f"Name:\tpython\nVmHWM:\t{peak:8} kB\nVmRSS:\t{now:8} kB\n")

    def call() -> None:
        assert (tmp_path / "clear_refs").read_text() == "5", "a peak of long ago is none of this call"
        state(400, 1000)

    state(300, 300)
    assert memory.on_host(call, tmp_path) == 700 * 1024
    assert memory.on_host(lambda: state(100, 100), tmp_path) == 0
    assert memory.on_host(nothing, Path("/nowhere")) is None


def test_the_allocator_keeps_what_is_freed() -> None:
    if allocator.keep_memory() != "glibc keeps freed memory":
        return  # another C library: then the record says so
    # In a process of its own, whose C library has kept nothing else.
    done = subprocess.run([sys.executable, "-c", KEEPING], cwd=ROOT, capture_output=True, text=True, check=True)
    kept_before, kept_after = map(int, done.stdout.split())
    assert kept_before < SIZE <= kept_after


SIZE = 2**26  # beyond what glibc keeps of its own accord
KEEPING = f"""
import ctypes
from conformance.benchmark import allocator

class Counts(ctypes.Structure):  # glibc's struct mallinfo
    _fields_ = [(name, ctypes.c_int) for name in (*"abcdefgh", "freed", "keepcost")]

library = ctypes.CDLL(None)
library.mallinfo.restype = Counts
library.malloc.restype, library.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
library.free.argtypes = [ctypes.c_void_p]

def kept():
    library.free(library.malloc({SIZE}))
    return library.mallinfo().freed

print(kept())
allocator.keep_memory()
print(kept())
"""


def test_replay_gives_back_exactly_the_samples() -> None:
    samples = [0.25, 0.5, 0.125]
    benchmark._REPLAY.load(samples)
    seen = []
    for _ in samples:
        started = benchmark.replay_timer()
        benchmark._REPLAY.advance()
        seen.append(benchmark.replay_timer() - started)
    assert seen == samples
