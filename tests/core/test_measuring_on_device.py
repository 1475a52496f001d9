"""What is timed on a device in a process of its own is verified here, and its clock believed as far as this one bears it out.

There is no GPU: `stub_device` takes its place in the processes, so that every message and every answer is as it would be. None
of this has run on a GPU.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from conformance.benchmark import measurement as taking
from conformance.benchmark import on_device, roofline, sampler
from conformance.benchmark.benchmark import Measurement, measure
from conformance.benchmark.on_device import ElsewhereClock, contradicted
from conformance.benchmark.sampler import SamplingPlan
from conformance.benchmark.workload import BenchmarkCase
from conformance.engine.remote_subject import Isolated
from conformance.sigmoid_attention import workloads as attention_workloads
from conformance.sigmoid_attention.harness.subject import inputs_of
from impls.implementation import Implementation, Origin
from tests.core import stub_device

PLUGS = '''
import sys, threading, time, torch
from conformance.benchmark import on_device, timer
from tests.attacks.speeds_apart import honest

attention = honest.attention
calls = 0

def half_the_heads(q, k, v, **options):
    out = honest.attention(q, k, v, **options)
    out[:, q.shape[1] // 2:] = 0
    return out

def wrong_while_timed(q, k, v, **options):
    """Right where it is asked before samples, and wrong in those."""
    global calls
    calls += 1
    return honest.attention(q, k, v, **options) if calls < 9 else torch.zeros_like(q)

def later(q, k, v, **options):
    """Zeros, filled in half a second after somebody has asked."""
    out = torch.zeros_like(q)
    global calls
    calls += 1
    def fill():
        time.sleep(0.5 if calls > 8 else 0)
        out.copy_(honest.attention(q, k, v, **options))
    worker = threading.Thread(target=fill)
    worker.start()
    if calls <= 8:
        worker.join()
    return out

def is_timed():
    """Whether this call is one of a sample."""
    frame = sys._getframe()
    while frame and frame.f_code is not sampled:
        frame = frame.f_back
    return frame is not None

whole_sample, put_off = on_device.OnDevice.time, []
sampled = whole_sample.__code__

def with_work_behind(device, *arguments):
    """A sample as it is timed, and behind it all work that was put off."""
    found = whole_sample(device, *arguments)
    while put_off:
        put_off.pop(0)()
    return found

on_device.OnDevice.time = with_work_behind

def wrong_in_samples(q, k, v, **options):
    """Right in every other call."""
    return torch.zeros_like(q) if is_timed() else honest.attention(q, k, v, **options)

def behind_the_clock(q, k, v, **options):
    """Right as soon as the clock has stopped."""
    out = torch.zeros_like(q)
    put_off.append(lambda: out.copy_(honest.attention(q, k, v, **options)))
    if not is_timed():
        put_off.pop()()
    return out

def lie(seconds):
    def attack(q, k, v, **options):
        timer.DeviceClock._once = lambda clock, work, before: (before(), work.launch(), (seconds, True))[2]
        return honest.attention(q, k, v, **options)
    return attack

too_fast, too_slow, not_a_number = lie(1e-9), lie(1e9), lie("soon")

class Optimizer(honest.Optimizer):
    pass

class BehindTheClock(honest.Optimizer):
    """Makes the steps of a sample as soon as the clock has stopped."""

    def step(self, closure=None):
        if is_timed():
            put_off.append(super().step)
        else:
            super().step()

class Idle(honest.Optimizer):
    """Leaves out every step from the sixth on."""
    made = 0

    def step(self, closure=None):
        self.made += 1
        if self.made < 6:
            super().step()
'''
BASELINES = {"sigmoid_attention": "attention", "ademamix": "Optimizer"}
WORKLOADS = {"sigmoid_attention": ("torch", "fwd-full-B1-H4-N256-D64-float32"), "ademamix": ("torch-optimizer", "float32-1e4")}


@pytest.fixture
def isolated(monkeypatch: pytest.MonkeyPatch) -> Iterator[Isolated]:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    processes = Isolated()
    yield processes
    processes.close()


def measured(
    isolated: Isolated, monkeypatch: pytest.MonkeyPatch, folder: Path, attribute: str, system: str, quads: int = 6
) -> Measurement:
    """A measurement on the stub, beside an honest baseline in another process."""
    (folder / "plugs.py").write_text(PLUGS, encoding="utf-8")
    protocol, name = WORKLOADS[system]

    def plug(attribute: str) -> Implementation:
        target = f"{folder}/plugs.py:{attribute}"
        return Implementation(
            name=f"{system}/{attribute}", system=system, target=target, summary="", protocol=protocol, origin=Origin("path"),
            spec=f"{system}={target}", requires=("torch",),
        )  # fmt: skip

    own, baseline = plug(attribute), replace(plug(BASELINES[system]), name=f"{system}/baseline")
    baseline = replace(baseline, spec=f"{baseline.spec} beside")
    isolated.keep_apart([own, baseline])
    for each in (own, baseline):
        isolated._remotes[each.selector].do(stub_device.install)
    workloads = importlib.import_module(f"conformance.{system}.workloads")
    (workload,) = (each for each in workloads.WORKLOADS if each.id == name)
    monkeypatch.setattr(
        attention_workloads, "inputs_of", lambda implementation, load, device: inputs_of(implementation, load, "cpu")
    )
    for module in ("benchmark.hindrance", "measurement.obstacle"):
        monkeypatch.setattr(f"conformance.benchmark.{module}", lambda *_, **__: None)
    monkeypatch.setattr(taking, "beside", lambda each: each)
    monkeypatch.setattr(taking, "plan_for", lambda a, b, quad_s, budget_s: SamplingPlan(a, b, *sampler.planned_looks(quads)))
    monkeypatch.setattr(taking, "cache_of", lambda _: SimpleNamespace(bytes=1, assumed=False))
    monkeypatch.setattr(taking, "_reader", lambda: None)
    monkeypatch.setattr(taking, "DeviceMonitor", lambda reader: taking.HostMonitor(()))
    monkeypatch.setattr(roofline, "place", lambda *_: roofline.Place(None, {}, "", ""))
    monkeypatch.setattr(taking.baseline_alone, "seconds", lambda *_: dict.fromkeys(taking.CONDITIONS, float("inf")))
    monkeypatch.setattr(on_device, "OUTSIDE_S", 1e-3)
    return measure(BenchmarkCase(own, baseline, workload, "cuda", quick=True))


@pytest.mark.parametrize(("attribute", "system"), [("attention", "sigmoid_attention"), ("Optimizer", "ademamix")])
def test_an_honest_one_is_timed_there_and_verified_here(
    attribute: str, system: str, isolated: Isolated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = measured(isolated, monkeypatch, tmp_path, attribute, system)
    for record in found.records:
        assert (record.verdict, record.message) == ("measured", "")
        assert record.clock == ElsewhereClock.name
        assert record.median_s is not None
        assert record.margin is not None
        assert record.telemetry["host"]["from_outside_s"].keys() == {"own", "baseline"}
        assert record.launch_s is not None


@pytest.mark.parametrize(
    ("attribute", "system", "message"),
    [
        ("half_the_heads", "sigmoid_attention", "output"),
        ("wrong_while_timed", "sigmoid_attention", "output, batch 0 head"),
        ("later", "sigmoid_attention", "output"),
        ("wrong_in_samples", "sigmoid_attention", "output, batch 0 head"),
        ("behind_the_clock", "sigmoid_attention", "output was complete when the clock stopped"),
        ("BehindTheClock", "ademamix", "parameters when the clock stopped"),
        ("Idle", "ademamix", ""),  # which parameters are wrong by most depends on the places that are drawn
    ],
)
def test_who_does_less_has_no_speed(
    attribute: str, system: str, message: str, isolated: Isolated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = measured(isolated, monkeypatch, tmp_path, attribute, system).deciding
    assert (found.verdict, found.message[: len(message)]) == ("wrong answer", message)
    assert found.median_s is None


def test_a_time_that_this_clock_does_not_bear_out_decides_nothing(
    isolated: Isolated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = measured(isolated, monkeypatch, tmp_path, "too_fast", "sigmoid_attention")
    for record in found.records:
        assert record.decision == "undecided"
        assert "by the clocks of their own processes it is" in record.reason


@pytest.mark.parametrize("attribute", ["too_slow", "not_a_number"])
def test_a_time_that_cannot_be_is_an_error(
    attribute: str, isolated: Isolated, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = measured(isolated, monkeypatch, tmp_path, attribute, "sigmoid_attention").deciding
    assert found.verdict == "error"
    assert "its process says that a sample took" in found.message


def test_a_ratio_is_believed_as_far_as_the_one_from_outside_bears_it_out() -> None:
    assert contradicted(1.2, 1.0) == contradicted(2.0, 1.9) == ""
    assert "10 times as fast as the baseline, and by the suite's clock, from outside and with launches, 1.01" in contradicted(
        10.0, 1.01
    )
