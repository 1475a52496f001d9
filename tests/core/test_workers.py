"""One worker for each device that is visible, each with its own; and no two timings at once where they would meet."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from conformance.pytest_plugin import workers

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.mark.parametrize(
    ("named", "devices"),
    [
        ("0,1,2", ("0", "1", "2")),
        (" 3 ,5", ("3", "5")),
        ("GPU-8a1f,MIG-77", ("GPU-8a1f", "MIG-77")),
        ("0,-1,2", ("0",)),
        ("", ()),
        ("-1", ()),
    ],
)
def test_the_visible_devices_are_read_as_cuda_reads_them(
    named: str, devices: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(workers.VISIBLE, named)
    assert workers.visible_devices() == devices


def test_without_a_word_the_driver_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(workers.VISIBLE, raising=False)
    monkeypatch.setattr(workers, "_device_count", lambda: 2)
    assert workers.visible_devices() == ("0", "1")


def test_automatic_means_one_for_each_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(workers.VISIBLE, "0,1,2,3")
    assert workers.automatic(("cuda",), measuring=False) == 4
    assert workers.automatic(("cuda",), measuring=True) == 4
    assert workers.automatic(("cpu",), measuring=True) == 1
    assert workers.automatic(("cpu",), measuring=False) is None
    monkeypatch.setenv(workers.VISIBLE, "")
    assert workers.automatic(("cuda",), measuring=False) == 1


SPY = """
import os, signal, time

def parse(text):
    with open({log!r} + os.environ["PYTEST_XDIST_WORKER"], "a") as file:
        file.write(os.environ.get("CUDA_VISIBLE_DEVICES", "none") + "\\n")
    if os.environ["PYTEST_XDIST_WORKER"] == "gw0":
        os.kill(os.getpid(), signal.SIGKILL)
    while os.environ["PYTEST_XDIST_WORKER"] == "gw1" and not os.path.exists({log!r} + "gw2"):
        time.sleep(0.01)  # so that there is work left for the one that takes the place of the first
    return []

parse.gaugeblock = {{"devices": ["cpu", "cuda"]}}
"""


def run(*arguments: str, devices: str = "7,9") -> tuple[int, str]:
    # This process may be a worker of pytest-xdist; those that it starts are not.
    outside = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--quick", *arguments],
        cwd=ROOT, env={**outside, "CUDA_VISIBLE_DEVICES": devices, "OMP_NUM_THREADS": "1", "GAUGEBLOCK_TEXT_SECONDS": "86400"},
        capture_output=True, text=True,
        timeout=3600,  # only what would never end is ended
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


def test_each_worker_has_its_device_and_hands_it_on_when_it_crashes(tmp_path: Path) -> None:
    plug = tmp_path / "spy.py"
    plug.write_text(SPY.format(log=str(tmp_path / "log-")), encoding="utf-8")
    # Both devices, so that there are cases to run on a machine that has no CUDA.
    code, text = run(
        "conformance/rag", "--in-process", "-n", "auto", "--device=cuda", "--device=cpu", f"--impl=rag={plug}:parse"
    )
    assert code == pytest.ExitCode.TESTS_FAILED, text
    seen = {file.name: set(file.read_text(encoding="utf-8").split()) for file in tmp_path.glob("log-*")}
    assert all(len(devices) == 1 for devices in seen.values()), seen
    assert set().union(*seen.values()) == {"7", "9"}
    # The worker that crashed is replaced by one on the device that it left, not on the one that is in use.
    assert len(seen) == 3, seen
    survivors = [devices for name, devices in seen.items() if name != "log-gw0"]
    assert set().union(*survivors) == {"7", "9"}


MEASURING = ["--benchmark-only", "--impl=rag/reference", "-k", "list-1k"]


@pytest.mark.parametrize(
    ("arguments", "devices", "message"),
    [
        (["-n2"], "7,9", "found 2 processes for --benchmark-only on the CPU: two timings at once disturb each other"),
        (["--tx=3*popen", "--dist=load"], "7,9", "found 3 processes for --benchmark-only on the CPU"),
        (["-n3", "--device=cuda"], "7,9", "found 3 processes for --benchmark-only on 2 CUDA devices"),
        (["-n2", "--device=cuda"], "7", "found 2 processes for --benchmark-only on 1 CUDA device:"),
        (["-n2", "--device=cuda", "--device=cpu"], "7,9", "found 2 processes for --benchmark-only on the CPU"),
    ],
    ids=["cpu", "tx", "three on two", "two on one", "both"],
)
def test_timings_that_would_disturb_each_other_are_refused(arguments: list[str], devices: str, message: str) -> None:
    code, text = run(*MEASURING, *arguments, devices=devices)
    assert code == pytest.ExitCode.USAGE_ERROR, text
    assert message in text


def test_auto_measures_in_one_worker_on_the_cpu() -> None:
    code, text = run(*MEASURING, "-n", "auto")
    assert code == 0, text
    assert "1 passed" in text


def test_two_devices_measure_at_once() -> None:
    """On a machine without a device nothing is measured, and the reason is said; what counts is that two workers ran."""
    code, text = run(*MEASURING, "--device=cuda", "-n", "auto", "-v")
    assert code in (pytest.ExitCode.OK, pytest.ExitCode.NO_TESTS_COLLECTED), text
    assert "created: 2/2 workers" in text


def test_workers_that_never_live_are_given_up(tmp_path: Path) -> None:
    """A replacement that dies as well is replaced again, as long as one of them tested something."""
    (tmp_path / "deadly.py").write_text(
        "import os, signal\n\nif 'PYTEST_XDIST_WORKER' in os.environ:\n    os.kill(os.getpid(), signal.SIGKILL)\n\n"
        "def parse(text):\n    return []\n",
        encoding="utf-8",
    )
    code, text = run("conformance/rag", "-n1", "--in-process", f"--impl=rag={tmp_path / 'deadly.py'}:parse")
    assert code == pytest.ExitCode.INTERNAL_ERROR, text
    assert "10 workers in a row died before they judged anything; run without -n to see why" in text
