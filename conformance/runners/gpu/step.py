"""One step of a GPU run: a program with a limit of time, whose output is shown and kept.

A step that exceeds its limit is interrupted as by Ctrl-C, so that it writes what it has, and killed when the limit is over.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from conformance.benchmark.benchmark import UNTIL

ROOT = Path(__file__).resolve().parents[3]
GRACE_S = 15.0
"""The last part of a step's limit: it has been asked to end, and is killed at its end."""
FINISHING_S = 20.0
"""A measuring step starts nothing new in this part of its time, before it is asked to end; it writes its records."""


@dataclass(frozen=True)
class Step:
    """One program. ``share`` is its part of a budget; ``fine`` are the exit codes with which it has results."""

    name: str
    command: tuple[str, ...]
    """The arguments of this Python."""
    share: float = 1.0
    least: float = 0.0
    """The least time that it gets, in seconds, where so much is left."""
    most: float = float("inf")
    """The most time that it gets: what has no end of its own, or is not worth more."""
    fine: tuple[int, ...] = (0,)
    under: tuple[str, ...] = ()
    """A program that runs this Python, such as a memory checker. Where it is not installed the step is not run."""
    environment: tuple[tuple[str, str], ...] = ()

    def missing(self) -> str:
        """The program that it needs and that is not here; empty where nothing is missing."""
        return self.under[0] if self.under and shutil.which(self.under[0]) is None else ""

    def words(self) -> list[str]:
        return [*self.under, sys.executable, *self.command]


@dataclass(frozen=True)
class StepResult:
    """What became of a step: ``outcome`` is ``done``, ``failed``, ``cut`` at its limit, or ``not run``."""

    name: str
    outcome: str
    seconds: float
    limit_s: float | None
    exit: int | None = None
    reason: str = ""


@dataclass
class Progress:
    """What became of all steps so far, kept in ``steps.json`` of the folder."""

    folder: Path
    steps: list[StepResult] = field(default_factory=list)

    own: set[str] = field(default_factory=set)
    """The steps of this command."""

    def add(self, done: StepResult) -> None:
        self.own.add(done.name)
        self.steps = [each for each in self.steps if each.name != done.name] + [done]
        beside = self.folder / "steps.json.new"
        beside.write_text(json.dumps([asdict(each) for each in self.steps], indent=1) + "\n", encoding="utf-8")
        os.replace(beside, self.folder / "steps.json")

    def failed(self) -> list[str]:
        """Those that gave no result, or were cut."""
        return [each.name for each in self.steps if each.outcome in ("failed", "cut") and each.name in self.own]


def earlier(folder: Path) -> list[StepResult]:
    """What became of the steps of earlier commands into this folder."""
    file = folder / "steps.json"
    return [StepResult(**each) for each in json.loads(file.read_text(encoding="utf-8"))] if file.is_file() else []


Runner = Callable[[Step, Path, float | None], StepResult]


def run_all(
    chosen: Sequence[Step],
    folder: Path,
    budget: float | None,
    after: Callable[[Step], object] = lambda step: None,
    execute: Runner | None = None,
    now: Callable[[], float] = time.monotonic,
) -> Progress:
    """Run the steps in order, each within its share of the time left; call ``after`` with each when it is over."""
    ends = None if budget is None else now() + budget
    progress = Progress(folder, earlier(folder))
    # Where whoever started us ignores it, as a shell does for what runs behind it, the steps would ignore it as well.
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for place, step in enumerate(chosen):
        if missing := step.missing():
            reason = f"{missing} is not installed"
            print(f"== {step.name}: not run; {reason}", flush=True)
            progress.add(StepResult(step.name, "not run", 0.0, None, reason=reason))
            continue
        limit = None if ends is None else share_of(ends - now(), chosen[place:])
        if limit is not None and limit <= 0:
            progress.add(StepResult(step.name, "not run", 0.0, 0.0, reason="no time was left for it"))
            continue
        progress.add((execute or run)(step, folder, limit))
        after(step)
    return progress


def share_of(left: float, coming: Sequence[Step]) -> float:
    """Seconds for the first of the coming steps: its share of what is left. The others get what it does not use."""
    first = coming[0]
    share = left * first.share / sum(step.share for step in coming)
    return max(0.0, min(max(first.least, share), first.most, left))


def run(step: Step, folder: Path, limit: float | None) -> StepResult:
    """Run one step; show its output and keep it in ``NAME.log``. It is over when the limit is, whatever it does."""
    started = time.monotonic()
    print(f"== {step.name}" + (f" (at most {limit:.0f} s)" if limit is not None else ""), flush=True)
    variables = {**os.environ, **dict(step.environment)}
    asked = None if limit is None else max(limit - GRACE_S, limit / 2)
    if asked is not None:
        variables[UNTIL] = str(time.time() + max(0.0, asked - FINISHING_S))
    (folder / f"{step.name}.jsonl").unlink(missing_ok=True)  # of an earlier call
    with (folder / f"{step.name}.log").open("w", encoding="utf-8") as log:
        # A session of its own, so that the processes that it starts end with it.
        process = subprocess.Popen(
            step.words(), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
            env=variables, start_new_session=True,
        )  # fmt: skip
        overdue: list[str] = []
        timer = None
        if asked is not None and limit is not None:
            timer = threading.Timer(asked, _end, (process, overdue, limit - asked))
            timer.daemon = True
            timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                log.flush()
                print(line, end="", flush=True)
            code = process.wait()
        except BaseException:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            if timer is not None:
                timer.cancel()
    seconds = time.monotonic() - started
    outcome = "cut" if overdue else "done" if code in step.fine else "failed"
    print(f"== {step.name}: {outcome}, exit {code} after {seconds:.0f} s", flush=True)
    return StepResult(step.name, outcome, round(seconds, 1), limit, code)


def _end(process: subprocess.Popen[str], overdue: list[str], grace: float) -> None:
    """Interrupt it as Ctrl-C does, so that it can write what it has; then kill it."""
    overdue.append("asked")
    _signal(process, signal.SIGINT)
    try:
        process.wait(grace)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], which: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, which)
