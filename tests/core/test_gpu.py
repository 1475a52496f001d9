"""The one command for a device goes on after a step that fails or hangs, and shares out the time that it is given."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from conformance.benchmark import machine
from conformance.benchmark.benchmark import UNTIL
from conformance.runners import gpu
from conformance.runners.gpu import Step


def names(device: str, tmp_path: Path) -> list[str]:
    return [step.name for step in gpu.steps_for(device, [], False, tmp_path)]


def test_on_a_device_only_what_runs_on_it_is_a_step(tmp_path: Path) -> None:
    on_cuda = names("cuda", tmp_path)
    assert on_cuda[0] == "machine"
    assert {"conformance-ademamix", "speed-ademamix", "conformance-sigmoid_attention", "speed-sigmoid_attention"} <= {*on_cuda}
    assert not any("rag" in name or "rig" in name for name in on_cuda)
    assert {"conformance-rig", "speed-rag"} <= {*names("cpu", tmp_path)}
    assert not any(name.startswith("tuning") for name in names("cpu", tmp_path))


def test_a_system_with_launch_options_has_a_tuning_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "is_installed", lambda module: module == "tools.attention_tuning")
    (step,) = [step for step in gpu.steps_for("cuda", [], False, tmp_path) if step.name.startswith("tuning")]
    assert step.name == "tuning-sigmoid_attention"
    assert step.command == ("-m", "tools.attention_tuning", "-o", str(tmp_path / "tuning-sigmoid_attention.json"))


def test_records_of_an_earlier_call_are_not_taken_for_something_to_collect(tmp_path: Path) -> None:
    for step in gpu.steps_for("cpu", [], True, tmp_path):
        if "pytest" in step.command:
            assert f"--records={tmp_path / step.name}.jsonl" in step.command


def test_options_reach_every_run_of_the_suite(tmp_path: Path) -> None:
    for step in gpu.steps_for("cpu", ["triton"], True, tmp_path):
        if "pytest" in step.command:
            assert step.command[step.command.index("--impl") :][:2] == ("--impl", "triton")
            assert "--quick" in step.command


def test_time_that_a_step_does_not_need_is_for_those_to_come() -> None:
    three = [Step("a", ("-c", ""), share=1), Step("b", ("-c", ""), share=2), Step("c", ("-c", ""), share=1)]
    assert gpu.share_of(400.0, three) == 100.0
    assert gpu.share_of(390.0, three[1:]) == 260.0
    assert gpu.share_of(130.0, three[2:]) == 130.0
    assert gpu.share_of(-5.0, three) == 0.0
    assert gpu.share_of(1.0, [Step("least", ("-c", ""), least=45.0), *three]) == 45.0


def test_a_step_that_fails_does_not_stop_the_next(tmp_path: Path) -> None:
    steps = [
        Step("bad", ("-c", "import sys; print('no'); sys.exit(3)")),
        Step("verdict", ("-c", "import sys; sys.exit(1)"), fine=(0, 1)),
        Step("good", ("-c", "print('yes')")),
    ]
    assert gpu.run_all(steps, tmp_path, None) == ["bad"]
    assert (tmp_path / "bad.log").read_text() == "no\n"
    assert (tmp_path / "good.log").read_text() == "yes\n"


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
    monkeypatch.setattr(gpu, "threading", SimpleNamespace(Timer=EndOfTime(begun)))
    monkeypatch.setattr(gpu, "GRACE_S", 300.0)
    assert not gpu.run(Step("hangs", ("-c", program)), tmp_path, limit=1.0)
    assert (tmp_path / "hangs.log").read_text() == "begun\nkept\n"


def test_a_step_that_does_not_listen_is_ended_with_all_it_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = tmp_path / "begun"
    program = (
        "import signal, subprocess, sys, time\n"
        "signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(86400)'])\n"
        f"print('begun', flush=True)\nopen({str(begun)!r}, 'w').close()\ntime.sleep(86400)"
    )
    monkeypatch.setattr(gpu, "GRACE_S", 0.5)
    monkeypatch.setattr(gpu, "threading", SimpleNamespace(Timer=EndOfTime(begun)))
    # The child holds the pipe, so had it lived on the step would last a day.
    assert not gpu.run(Step("deaf", ("-c", program)), tmp_path, limit=1.0)
    assert (tmp_path / "deaf.log").read_text() == "begun\n"


def test_the_time_of_a_step_is_kept_by_a_timer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[float] = []

    def made(limit: float, end: Callable[..., None], arguments: tuple[Any, ...]) -> threading.Timer:
        limits.append(limit)
        return threading.Timer(86400.0, end, arguments)

    monkeypatch.setattr(gpu, "threading", SimpleNamespace(Timer=made))
    assert gpu.run(Step("short", ("-c", "")), tmp_path, limit=7.0)
    assert gpu.run(Step("free", ("-c", "")), tmp_path, None)
    assert limits == [7.0]


def test_a_measuring_step_is_told_until_when(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu.time, "time", lambda: 5000.0)
    assert gpu.run(Step("told", ("-c", f"import os; print(os.environ[{UNTIL!r}])")), tmp_path, limit=100.0)
    until = float((tmp_path / "told.log").read_text())
    assert until == 5100.0 - gpu.FINISHING_S


def test_what_an_earlier_call_found_is_not_taken_for_this_ones(tmp_path: Path) -> None:
    (tmp_path / "step.jsonl").write_text("old")
    assert not gpu.run(Step("step", ("-c", "raise SystemExit(2)")), tmp_path, None)
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
        gpu.main(["--device", "cpu", "--steps", "nothing*", "-o", str(tmp_path)])
    assert "found --steps nothing*, which is no step; expected one of machine, conformance-" in capsys.readouterr().err
