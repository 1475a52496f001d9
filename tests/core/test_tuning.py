"""A tuner believes no candidate that is wrong, and what it found outlives whatever ends it. Clocks are scripted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch

from conformance.benchmark.benchmark import UNTIL
from conformance.benchmark.timer import DeviceClock, DeviceLost, HostClock, Work, nothing
from conformance.engine.comparison import Comparison, equal
from impls.triton_support import choose_interpreter
from tests.core.test_measuring_clock import MadeUpDevice
from tools import ademamix_tuning, attention_tuning, tuning
from tools.ademamix_tuning import ShapeJob
from tools.attention_tuning import Job, KernelJob
from tools.tuning import Change, TuningFindings, work_off

choose_interpreter()


class ClockOfCalls(HostClock):
    """A call takes as long as it says that it takes."""

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        before()
        taken: float = work.launch()
        return taken


@dataclass
class MadeUpJob:
    """Candidates ``n`` take ``n`` milliseconds; those in ``wrong`` write nothing, those in ``broken`` raise."""

    name: str
    numbers: tuple[int, ...] = (4, 2, 8)
    wrong: tuple[int, ...] = ()
    broken: tuple[int, ...] = ()
    verified: list[Change] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, Any]:
        return {"name": self.name}

    def changes(self) -> Iterator[Change]:
        yield {}
        yield from ({"n": n} for n in self.numbers)

    def run(self, change: Change) -> Callable[[], float]:
        return lambda: change.get("n", 4) * 1e-3

    def verify(self, change: Change) -> Iterator[Comparison]:
        self.verified.append(change)
        if change.get("n", 0) in self.broken:
            raise RuntimeError("out of resources")
        yield equal("elements that were written", 0 if change.get("n", 0) in self.wrong else 7, 7)


def kept(file: Path) -> Any:
    return json.loads(file.read_text(encoding="utf-8"))


def test_the_fastest_right_candidate_is_kept_and_a_wrong_one_has_no_time(tmp_path: Path) -> None:
    file = tmp_path / "found.json"
    jobs = [MadeUpJob("a", wrong=(2,)), MadeUpJob("b", broken=(8,))]
    assert work_off(jobs, TuningFindings(file, {"device": "made up"}), ClockOfCalls()) == 6
    found = kept(file)
    assert found["complete"]
    assert found["device"] == "made up"
    assert [line["best"] for line in found["best"]] == [{}, {"n": 2}]
    assert [line["ratio"] for line in found["best"]] == [1.0, 2.0]
    assert {line["noise"] for line in found["best"]} == {1.0}
    errors = {(line["name"], line["change"]["n"]): line["error"] for line in found["tried"] if "error" in line}
    assert errors["b", 8] == "RuntimeError: out of resources"
    assert "wrong: elements that were written: got 0" in errors["a", 2]
    assert not any("median_s" in line for line in found["tried"] if "error" in line)
    assert [each.name for each in tmp_path.iterdir()] == ["found.json"]


def test_wrong_options_in_use_do_not_hide_a_right_candidate(tmp_path: Path) -> None:
    work_off([MadeUpJob("a", wrong=(0,))], TuningFindings(tmp_path / "found.json", {}), ClockOfCalls())
    (line,) = kept(tmp_path / "found.json")["best"]
    assert line["best"] == {"n": 2}
    assert line["ratio"] is None
    assert line["noise"] is None


def test_a_run_without_time_left_has_written_what_it_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter(range(100))
    monkeypatch.setattr("tools.tuning.time.time", lambda: float(next(now)))
    monkeypatch.setenv(UNTIL, "2.5")
    job, file = MadeUpJob("a"), tmp_path / "found.json"
    assert work_off([job], TuningFindings(file, {}), ClockOfCalls()) == 3
    assert not kept(file)["complete"]
    assert "time" in kept(file)["cut_short"]
    assert kept(file)["best"][0]["best"] == {"n": 2}
    monkeypatch.setenv(UNTIL, "inf")
    again = TuningFindings(file, {})
    again.resume()
    assert work_off([job], again, ClockOfCalls()) == 1
    assert job.verified == [{}, {"n": 4}, {"n": 2}, {"n": 8}], "what was tried before is not tried again"
    assert kept(file)["complete"]
    assert kept(file)["tried"][-1]["ratio"] == 0.5, "still beside the options in use"


def test_what_was_found_outlives_an_interruption(tmp_path: Path) -> None:
    class Interrupted(MadeUpJob):
        def run(self, change: Change) -> Callable[[], float]:
            if change.get("n") == 8:
                raise KeyboardInterrupt
            return super().run(change)

    with pytest.raises(KeyboardInterrupt):
        work_off([Interrupted("a")], TuningFindings(tmp_path / "found.json", {}), ClockOfCalls())
    found = kept(tmp_path / "found.json")
    assert not found["complete"]
    assert found["best"][0]["best"] == {"n": 2}


class DeadClock(DeviceClock):
    """Of a device after an illegal access: nothing computes any more."""

    def __init__(self) -> None:
        super().__init__(MadeUpDevice(dead=True))

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        return ClockOfCalls().time(work, before)


def test_a_candidate_that_takes_the_device_down_ends_the_process_and_not_the_search(tmp_path: Path) -> None:
    file, job = tmp_path / "found.json", MadeUpJob("a", broken=(2,))
    with pytest.raises(DeviceLost, match="out of resources"):
        work_off([job], TuningFindings(file, {}), DeadClock())
    assert "out of resources" in kept(file)["tried"][-1]["error"]
    again = TuningFindings(file, {})
    again.resume()
    work_off([job], again, ClockOfCalls())
    assert job.verified.count({"n": 2}) == 1
    assert kept(file)["complete"]


def test_going_on_afresh_is_the_same_command_that_resumes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[list[str]] = []

    def lost(*arguments: Any, **keywords: Any) -> int:
        raise DeviceLost("gone")

    def become(program: str, words: list[str]) -> None:
        started.append(words[1:])
        raise SystemExit(0)

    monkeypatch.setattr(tuning, "tune", lost)
    monkeypatch.setattr("tools.tuning.os.execv", become)
    with pytest.raises(SystemExit):
        attention_tuning.main(["-o", str(tmp_path / "found.json"), "--rehearse"])
    assert started == [["-m", "tools.attention_tuning", "-o", str(tmp_path / "found.json"), "--rehearse", "--resume"]]


# --- The jobs themselves --------------------------------------------------------------------------------------------------


def attention_job(monkeypatch: pytest.MonkeyPatch, forward: Callable[..., torch.Tensor]) -> KernelJob:
    from impls.sigmoid_attention import triton_kernels

    monkeypatch.setattr(triton_kernels, "forward", forward)
    return KernelJob(Job("forward", 16, True), "cpu", 80, 2, 2)


def right(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: Any) -> torch.Tensor:
    scores = q.double() @ k.double().transpose(-1, -2) * q.shape[-1] ** -0.5 + options.bias
    weights = torch.sigmoid(scores).tril()
    out = torch.empty_like(q)
    return out.copy_(weights @ v.double())


def test_an_attention_kernel_that_is_right_everywhere_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    assert tuning.verified(attention_job(monkeypatch, right).verify({})) <= 1


@pytest.mark.parametrize("kernel", ["query", "key"])
def test_every_result_of_a_gradient_kernel_is_verified(kernel: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from impls.sigmoid_attention import triton_kernels

    def gradients(grad: Any, q: Any, k: Any, v: Any, options: Any) -> tuple[torch.Tensor, ...]:
        leaves = [x.double().requires_grad_() for x in (q, k, v)]
        scores = leaves[0] @ leaves[1].transpose(-1, -2) * q.shape[-1] ** -0.5 + options.bias
        found = torch.autograd.grad(torch.sigmoid(scores) @ leaves[2], leaves, grad.double())
        return tuple(x.to(q.dtype) for x in found)

    factor = [1.0]
    monkeypatch.setattr(triton_kernels, "query_gradient", lambda *given: (gradients(*given)[0] * factor[0], None, None))
    monkeypatch.setattr(
        triton_kernels, "key_gradients", lambda *given: (gradients(*given)[1], gradients(*given)[2] * factor[0])
    )
    job = KernelJob(Job(kernel, 16, False), "cpu", 80, 2, 1)
    assert tuning.verified(job.verify({})) <= 1
    factor[0] = 1.02
    with pytest.raises(AssertionError, match="wrong: gradient of"):
        tuning.verified(job.verify({}))


def nothing_written(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: Any) -> torch.Tensor:
    return torch.empty_like(q)


def the_same_buffer(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: Any, kept: list[Any] = []) -> torch.Tensor:  # noqa: B006
    """What a right candidate left in memory is returned for the next one's."""
    kept[:] = kept or [right(q, k, v, options)]
    return kept[0]  # type: ignore[no-any-return]


def one_head_unwritten(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: Any) -> torch.Tensor:
    out, found = torch.empty_like(q), right(q, k, v, options)
    out[:, :1], out[1:, 1:] = found[:, :1], found[1:, 1:]
    return out


def one_row_of_zeros(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, options: Any) -> torch.Tensor:
    found = right(q, k, v, options)
    found[1, 1, 64:] = 0
    return found


@pytest.mark.parametrize("forward", [nothing_written, the_same_buffer, one_head_unwritten, one_row_of_zeros])
def test_an_attention_kernel_that_leaves_work_out_is_refused(
    forward: Callable[..., torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    job = attention_job(monkeypatch, forward)
    if forward is the_same_buffer:
        tuning.verified(job.verify({}))
    with pytest.raises(AssertionError, match="wrong"):
        tuning.verified(job.verify({}))


@pytest.mark.parametrize(("states", "dtype"), ademamix_tuning.KINDS)
def test_a_step_that_leaves_work_out_is_refused(states: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from impls.ademamix.optimizer import AdEMAMix

    job = ShapeJob("eager", states, dtype, "few", 3, 3 * 4352, "cpu")
    assert tuning.verified(job.verify({})) <= 1
    whole = AdEMAMix.step

    def without_moments(self: AdEMAMix, closure: Any = None) -> None:
        whole(self)
        for state in self.state.values():
            for value in state.values():
                if torch.is_tensor(value) and value.numel() > 1:
                    value.zero_()

    def without_the_last(self: AdEMAMix, closure: Any = None) -> None:
        last = self.param_groups[0]["params"][-1]
        before = last.detach()[-300:].clone()
        whole(self)
        last.data[-300:] = before

    for step in (lambda self: None, without_moments, without_the_last):
        monkeypatch.setattr(AdEMAMix, "step", step)
        with pytest.raises(AssertionError, match="wrong"):
            tuning.verified(job.verify({}))


def test_a_shape_reaches_the_kernel_and_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    job = ShapeJob("triton", "float32", "float32", "one", 1, 512, "cpu")
    with job.shaped({"shape": [512, 2]}):
        assert os.environ["ADEMAMIX_TRITON_SHAPE"] == "512,2"
    assert "ADEMAMIX_TRITON_SHAPE" not in os.environ


def test_every_kernel_and_shape_has_a_job() -> None:
    from tools.attention_candidates import KERNELS

    assert {each.job.kernel for each in attention_tuning.kernel_jobs("cuda", False)} == set(KERNELS)
    shapes = list(ademamix_tuning.shape_jobs("cuda", False))
    assert {(job.states, job.dtype, job.backend, job.tensors) for job in shapes} >= {("8bit", "float32", "cuda", 1000)}
    every: list[tuning.TuningJob] = [*attention_tuning.kernel_jobs("cuda", False), *shapes]
    for job in every:
        assert next(iter(job.changes())) == {}, "the options in use come first"
        assert len(list(job.changes())) > 1
