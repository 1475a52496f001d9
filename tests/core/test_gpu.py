"""The three commands for a device keep to their time, go on after a step that fails or hangs, and keep what each has found."""

from __future__ import annotations

import contextlib
import json
import signal
import tarfile
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.benchmark import machine, workload_file
from conformance.benchmark.benchmark import UNTIL
from conformance.runners.gpu import archive, command, compile_only, smoke
from conformance.runners.gpu import step as step_module
from conformance.runners.gpu.plan import BUDGET_S, GRID, PARTS, RESERVED_S, GpuPlan
from conformance.runners.gpu.step import FINISHING_S, GRACE_S, Step, StepResult, run, run_all, share_of
from impls.implementation import NotRun

SECONDS = json.loads((Path(__file__).parent / "gpu_seconds.json").read_text(encoding="utf-8"))
"""What steps of a rehearsal took, in seconds, as ``steps.json`` has it. One that is not here takes all it may."""


def names(made: GpuPlan) -> list[str]:
    return [step.name for part in PARTS for step in made.steps(part)]


def test_on_a_device_only_what_runs_on_it_is_a_step(tmp_path: Path) -> None:
    on_cuda = names(GpuPlan(tmp_path))
    assert on_cuda[:4] == ["machine", "smoke", "memcheck", "racecheck"]
    assert {"conformance-ademamix", "speed-ademamix", "conformance-sigmoid_attention", "claims-sigmoid_attention"} <= {
        *on_cuda
    }
    assert not any("rag" in name or "rig" in name for name in on_cuda)
    assert len({*on_cuda}) == len(on_cuda)


def test_a_rehearsal_takes_the_same_steps(tmp_path: Path) -> None:
    assert names(GpuPlan(tmp_path, rehearse=True)) == names(GpuPlan(tmp_path))
    rehearsed = [step for part in PARTS for step in GpuPlan(tmp_path, rehearse=True).steps(part)]
    assert not any("cuda" in step.command for step in rehearsed)
    assert [step.name for step in rehearsed if (compile_only.TARGET, "90") in step.environment] == [
        "precompile-sigmoid_attention", "precompile-ademamix",
    ]  # fmt: skip


def test_kernels_are_compiled_on_sixteen_processes_before_eight_test(tmp_path: Path) -> None:
    steps = {step.name: step.command for step in GpuPlan(tmp_path).conformance()}
    order = list(steps)
    for system in ("sigmoid_attention", "ademamix"):
        compiling, testing = steps[f"precompile-{system}"], steps[f"conformance-{system}"]
        assert compiling[compiling.index("-n") + 1] == "16"
        assert testing[testing.index("-n") + 1] == "8"
        assert order.index(f"precompile-{system}") < order.index(f"conformance-{system}")
    assert "sigmoid_attention/triton" in steps["precompile-sigmoid_attention"]
    assert dict(GpuPlan(tmp_path).conformance()[-1].environment)["TRITON_CACHE_DIR"] == str(tmp_path / "kernels")


def test_jax_leaves_torch_the_memory_of_the_card(tmp_path: Path) -> None:
    for part in PARTS:
        for step in GpuPlan(tmp_path).steps(part):
            assert ("XLA_PYTHON_CLIENT_PREALLOCATE", "false") in step.environment


def test_records_of_an_earlier_call_are_not_taken_for_something_to_collect(tmp_path: Path) -> None:
    for step in GpuPlan(tmp_path).conformance():
        if step.name.startswith("conformance"):
            assert f"--records={tmp_path / step.name}.jsonl" in step.command


def test_options_reach_every_run_of_the_suite(tmp_path: Path) -> None:
    for step in GpuPlan(tmp_path, ["triton"], quick=True).conformance():
        if step.name.startswith("conformance"):
            assert step.command[step.command.index("--impl") :][:2] == ("--impl", "triton")
            assert "--quick" in step.command


def test_the_grid_names_lengths_head_dims_and_the_sizes_of_the_claims() -> None:
    found = {workload.id: workload for workload in workload_file.read(str(GRID))}
    for length in (1, 2, 4, 8, 16):
        for dim in (64, 128):
            for kind in ("fwd-causal", "fwd-full", "bwd-causal", "bwd-full"):
                load = found[f"{kind}-{length}k-D{dim}"].parameters["load"]
                assert (load.length, load.dim, load.batch * load.length) == (length * 1024, dim, 16384)
    assert found["1e8-float32-float32-moments-1000-tensors"].parameters == {
        "count": 100_000_000, "tensors": 1000, "states": "float32",
    }  # fmt: skip
    assert {"decode-8k-D128", "packed-16k-D128"} <= {*found}


def test_time_that_a_step_does_not_need_is_for_those_to_come() -> None:
    three = [Step("a", ("-c", ""), share=1), Step("b", ("-c", ""), share=2), Step("c", ("-c", ""), share=1)]
    assert share_of(400.0, three) == 100.0
    assert share_of(390.0, three[1:]) == 260.0
    assert share_of(130.0, three[2:]) == 130.0
    assert share_of(-5.0, three) == 0.0
    assert share_of(100.0, [Step("least", ("-c", ""), least=45.0), *three]) == 45.0
    assert share_of(10.0, [Step("least", ("-c", ""), least=45.0), *three]) == 10.0, "no more than is left"
    assert share_of(400.0, [Step("most", ("-c", ""), share=4, most=30.0), *three]) == 30.0


class MadeUpMachine:
    """Steps take so many seconds, and no more than their limit; time is its own."""

    def __init__(self, seconds: Callable[[str], float]) -> None:
        self.time, self.seconds, self.cut = 0.0, seconds, list[str]()

    def now(self) -> float:
        return self.time

    def execute(self, step: Step, folder: Path, limit: float | None) -> StepResult:
        assert limit is not None
        needed = self.seconds(step.name)
        self.time += min(needed, limit)
        if needed > limit:
            self.cut.append(step.name)
        return StepResult(step.name, "cut" if needed > limit else "done", min(needed, limit), limit, 0)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("times", [0.0, 1.0, 3.0, float("inf")])
def test_a_command_ends_in_nine_and_a_half_minutes_whatever_its_steps_do(part: str, times: float, tmp_path: Path) -> None:
    """Each step takes so many times what it took in a rehearsal on two CPUs; the last never ends."""
    # All programs are there, which takes longest.
    steps = [Step(s.name, s.command, s.share, s.least, s.most) for s in GpuPlan(tmp_path).steps(part)]
    made = MadeUpMachine(lambda name: SECONDS.get(name, float("inf")) * times if times else 0.1)
    progress = run_all(steps, tmp_path, BUDGET_S - RESERVED_S, execute=made.execute, now=made.now)
    assert made.time + RESERVED_S <= 9.5 * 60
    assert len(progress.steps) == len(steps)
    if times <= 1.0:
        assert not {*made.cut} & {*SECONDS}, "what a rehearsal took is within each step's limit"
    if times == float("inf"):
        begun = [each for each in progress.steps if each.outcome == "cut"]
        assert len(begun) >= len(steps) - 1, "the first leave time to the last"
        assert all(each.limit_s is not None and each.limit_s > 20 for each in begun)


def test_recorded_times_are_those_of_steps(tmp_path: Path) -> None:
    assert {*SECONDS} <= {*names(GpuPlan(tmp_path)), "report"}
    assert SECONDS


def test_what_needs_a_program_that_is_not_here_is_not_run_and_fails_nothing(tmp_path: Path) -> None:
    checker = Step("checked", ("-c", ""), under=("no-such-program",))
    progress = run_all([checker, Step("next", ("-c", ""))], tmp_path, None)
    assert [(each.outcome, each.reason) for each in progress.steps] == [
        ("not run", "no-such-program is not installed"),
        ("done", ""),
    ]
    assert progress.failed() == []


def test_a_step_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    steps = [
        Step("bad", ("-c", "import sys; print('no'); sys.exit(3)")),
        Step("verdict", ("-c", "import sys; sys.exit(1)"), fine=(0, 1)),
        Step("good", ("-c", "print('yes')")),
    ]
    progress = run_all(steps, tmp_path, None)
    assert progress.failed() == ["bad"]
    told = json.loads((tmp_path / "steps.json").read_text())
    assert [(each["name"], each["outcome"], each["exit"]) for each in told] == [
        ("bad", "failed", 3), ("verdict", "done", 1), ("good", "done", 0),
    ]  # fmt: skip
    assert (tmp_path / "bad.log").read_text() == "no\n"
    assert (tmp_path / "good.log").read_text() == "yes\n"


def test_what_became_of_earlier_steps_is_kept_beside(tmp_path: Path) -> None:
    assert run_all([Step("first", ("-c", "raise SystemExit(2)"))], tmp_path, None).failed() == ["first"]
    assert run_all([Step("second", ("-c", ""))], tmp_path, None).failed() == []
    assert [each["name"] for each in json.loads((tmp_path / "steps.json").read_text())] == ["first", "second"]


def test_a_step_listens_though_whoever_started_us_does_not(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        program = "import signal; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
        run_all([Step("asked", ("-c", program))], tmp_path, None)
    finally:
        signal.signal(signal.SIGINT, before)
    assert (tmp_path / "asked.log").read_text() == "True\n"


class EndOfTime:
    """Stands in for ``threading.Timer``: its time is over once the step has said that it has begun, however long that took."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __call__(self, limit: float, end: Callable[..., None], arguments: tuple[Any, ...]) -> threading.Thread:
        def wait() -> None:
            while not self.file.exists():
                time.sleep(0.01)
            end(*arguments)

        self.thread = threading.Thread(target=wait)
        self.thread.cancel = lambda: None  # type: ignore[attr-defined]
        return self.thread


def test_a_step_that_hangs_is_asked_to_end_and_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    program = (
        f"import time\ntry:\n    print('begun', flush=True)\n    open({str(begun)!r}, 'w').close()\n    time.sleep(600)\n"
        "except KeyboardInterrupt:\n    print('kept', flush=True)"
    )
    monkeypatch.setattr(step_module, "threading", SimpleNamespace(Timer=EndOfTime(begun)))
    assert run(Step("hangs", ("-c", program)), tmp_path, 600.0).outcome == "cut"
    assert (tmp_path / "hangs.log").read_text() == "begun\nkept\n"


def test_a_step_that_does_not_listen_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(86400)'])\n"
        f"print('begun', flush=True)\nopen({str(begun)!r}, 'w').close()\ntime.sleep(86400)"
    )
    monkeypatch.setattr(step_module, "threading", SimpleNamespace(Timer=EndOfTime(begun)))
    # The child holds the pipe, so had it lived on the step would last a day.
    assert run(Step("deaf", ("-c", program)), tmp_path, 1.0).outcome == "cut"
    assert (tmp_path / "deaf.log").read_text() == "begun\n"


def test_the_time_of_a_step_is_kept_by_a_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def made(limit: float, end: Callable[..., None], arguments: tuple[Any, ...]) -> threading.Timer:
        limits.append(limit)
        return threading.Timer(86400.0, end, arguments)

    monkeypatch.setattr(step_module, "threading", SimpleNamespace(Timer=made))
    assert run(Step("short", ("-c", "")), tmp_path, 100.0).outcome == "done"
    assert run(Step("free", ("-c", "")), tmp_path, None).outcome == "done"
    assert limits == [100.0 - GRACE_S]


def test_a_measuring_step_is_told_until_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("conformance.runners.gpu.step.time.time", lambda: 5000.0)
    assert run(Step("told", ("-c", f"import os; print(os.environ[{UNTIL!r}])")), tmp_path, 100.0).outcome == "done"
    until = float((tmp_path / "told.log").read_text())
    assert until == 5100.0 - GRACE_S - FINISHING_S


def test_what_an_earlier_call_found_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "step.jsonl").write_text("old")
    assert run(Step("step", ("-c", "raise SystemExit(2)")), tmp_path, None).outcome == "failed"
    assert not (tmp_path / "step.jsonl").exists()


def test_a_part_of_the_machine_that_fails_hides_no_other() -> None:
    def broken() -> None:
        raise RuntimeError("no such thing")

    found = dict(machine.told({"broken": broken, "whole": lambda: 7}))
    assert found["whole"] == 7
    assert "no such thing" in json.dumps(found["broken"]["fault"])


def test_the_parts_of_a_device_are_all_named() -> None:
    assert {*machine.parts("cpu")} < {*machine.parts("cuda")}
    assert {"telemetry", "launches in a graph", "spin of 1 ms lasts, seconds"} <= {*machine.parts("cuda")}


def test_an_unknown_step_is_refused_by_name(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        command.main(["--rehearse", "--steps", "nothing*", "-o", str(tmp_path)])
    assert "found --steps nothing*, which is no step; expected one of machine, smoke" in capsys.readouterr().err


def test_help_shows_the_three_commands(capsys: pytest.CaptureFixture[str]) -> None:
    from gaugeblock.command import main

    with contextlib.suppress(SystemExit):
        main(["gpu", "--help"])
    shown = capsys.readouterr().out
    for part in PARTS:
        assert f"gaugeblock gpu {part} -o" in shown


# --- Archives ---------------------------------------------------------------------------------------------------------------


def names_in(file: Path) -> list[str]:
    with tarfile.open(file) as packed:
        return packed.getnames()


def test_what_a_step_found_is_in_the_archive_when_the_next_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder, kept = tmp_path / "results", tmp_path / "out/kept.tar.gz"
    folder.mkdir()
    seen: list[list[str]] = []

    def execute(step: Step, into: Path, limit: float | None) -> StepResult:
        seen.append(names_in(kept) if kept.exists() else [])
        (into / f"{step.name}.jsonl").write_text("{}")
        return StepResult(step.name, "cut", 1.0, limit)

    monkeypatch.setattr(command, "run", execute)
    monkeypatch.setattr(step_module, "run", execute)
    command.work(GpuPlan(folder, rehearse=True), [Step("a", ()), Step("b", ())], 100.0, kept, None)
    assert seen == [[], ["steps.json", "a.jsonl"], ["steps.json", "a.jsonl", "b.jsonl"]]
    assert "report.jsonl" in names_in(kept)
    assert [each.name for each in kept.parent.iterdir()] == ["kept.tar.gz"]


def test_an_archive_that_would_be_too_large_keeps_what_matters_most(tmp_path: Path) -> None:
    import random

    folder = tmp_path / "results"
    (folder / "report").mkdir(parents=True)
    noise = random.Random(1)
    for name, size in (
        ("steps.json", 500),
        ("small.jsonl", 30_000),
        ("large.jsonl", 90_000),
        ("a.log", 20_000),
        ("b.log", 200_000),
    ):
        (folder / name).write_bytes(noise.randbytes(size))
    (folder / "report/page.md").write_text("page")
    left_out = archive.keep_results(folder, tmp_path / "kept.tar.gz", limit=100_000)
    assert left_out == ["large.jsonl", "b.log"]
    assert names_in(tmp_path / "kept.tar.gz") == ["steps.json", "small.jsonl", "report/page.md", "a.log", archive.LEFT_OUT]
    assert (tmp_path / "kept.tar.gz").stat().st_size <= 100_000
    with tarfile.open(tmp_path / "kept.tar.gz") as packed:
        told = packed.extractfile(archive.LEFT_OUT)
        assert told is not None
        assert b"large.jsonl" in told.read()


def test_kernels_are_found_again_in_another_folder(tmp_path: Path) -> None:
    cache = tmp_path / "here/kernels"
    (cache / "KEY").mkdir(parents=True)
    for name in ("step.cubin", "step.json", "step.ptx", "step.ttgir"):
        (cache / "KEY" / name).write_text("{}")
    group = {"child_paths": {name: str(cache / "KEY" / name) for name in ("step.cubin", "step.json", "step.ptx")}}
    (cache / "KEY/__grp__step.json").write_text(json.dumps(group))
    archive.keep_kernels(cache, tmp_path / "kernels.tar.gz")
    assert not any(name.endswith((".ptx", ".ttgir")) for name in names_in(tmp_path / "kernels.tar.gz"))
    there = tmp_path / "there"
    archive.unpack_all([tmp_path / "kernels.tar.gz"], there, there / "kernels")
    found = json.loads((there / "kernels/KEY/__grp__step.json").read_text())["child_paths"]
    assert found["step.cubin"] == str(there / "kernels/KEY/step.cubin")
    assert (there / "kernels/KEY/step.cubin").is_file()


def test_results_of_one_command_are_given_to_the_next(tmp_path: Path) -> None:
    folder = tmp_path / "first"
    folder.mkdir()
    (folder / "conformance-ademamix.jsonl").write_text("{}")
    (folder / "kernels").mkdir()
    (folder / "kernels/x.cubin").write_text("large")
    archive.keep_results(folder, tmp_path / "kept.tar.gz")
    assert names_in(tmp_path / "kept.tar.gz") == ["conformance-ademamix.jsonl"]
    archive.unpack_all([tmp_path / "kept.tar.gz"], tmp_path / "second", tmp_path / "second/kernels")
    assert (tmp_path / "second/conformance-ademamix.jsonl").is_file()


# --- The smoke step ---------------------------------------------------------------------------------------------------------


def tried(name: str, place: int, target: str = "", **keywords: Any) -> smoke.Outcome:
    from conformance.engine.discovery import select

    (implementation,) = select([name]).implementations
    if target:  # of another name, since what was made ready under one is kept
        implementation = replace(implementation, name=f"sigmoid_attention/{target.rpartition(':')[2]}", target=target)
    workload = smoke.workloads_for("cpu", "small")[place]
    return smoke.tried(implementation, workload, "cpu", **{"once": False, "repeats": 3, **keywords})


@pytest.mark.parametrize("place", range(6))
def test_a_right_kernel_is_called_right(place: int) -> None:
    assert tried("sigmoid_attention/torch-eager", place).verdict == "right"


def test_a_right_step_is_called_right_and_one_of_other_moments_is_not_run() -> None:
    assert tried("ademamix/torch-eager", 6).verdict == "right"
    assert tried("ademamix/torch-eager", 10).verdict == "not run"
    assert tried("ademamix/torch-eager", 6, once=True).verdict == "called"


def drifting(*arguments: Any, **keywords: Any) -> Any:
    """Right but for one element, which is another one in each call."""
    from impls.sigmoid_attention import torch_eager

    CALLS[0] += 1
    found = torch_eager.attention(*arguments, **keywords)
    found.view(-1)[CALLS[0] % found.numel()].mul_(1 + 2**-10)
    return found


def too_large(*arguments: Any, **keywords: Any) -> Any:
    from impls.sigmoid_attention import torch_eager

    return torch_eager.attention(*arguments, **keywords) * 1.1


CALLS = [0]


@pytest.mark.parametrize(("name", "verdict"), [("drifting", "differs"), ("too_large", "wrong")])
def test_a_kernel_that_is_wrong_or_differs_from_itself_is_found(name: str, verdict: str) -> None:
    assert tried("sigmoid_attention/torch-eager", 0, target=f"{__file__}:{name}").verdict == verdict


def test_every_kernel_of_a_device_is_tried() -> None:
    names = {each.name for each in smoke.kernels()}
    assert {"sigmoid_attention/triton", "sigmoid_attention/triton-hopper", "ademamix/triton", "ademamix/cuda"} <= names


# --- Compiling alone --------------------------------------------------------------------------------------------------------


def test_a_call_that_was_compiled_is_not_judged(monkeypatch: pytest.MonkeyPatch) -> None:
    from conformance.ademamix.harness.subject import Connected
    from conformance.sigmoid_attention.harness.torch_backend import TorchSubject

    called: list[str] = []
    for kind, name in ((TorchSubject, "_forward"), (TorchSubject, "_forward_backward"), (Connected, "run")):
        monkeypatch.setattr(kind, name, lambda *arguments, name=name: called.append(name))
    compile_only.stop_after_calls()
    for kind, name in ((TorchSubject, "_forward"), (TorchSubject, "_forward_backward"), (Connected, "run")):
        with pytest.raises(NotRun):
            getattr(kind, name)(None)
    assert called == ["_forward", "_forward_backward", "run"]
