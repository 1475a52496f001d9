"""Run everything that needs a GPU with one command, from a bare checkout, in the Python that is there.

``python -m conformance.runners.gpu -o FOLDER`` checks the timer, tests, measures, checks the papers' claims, tunes, and writes
records, report and a log of each step into FOLDER. It installs nothing. A step that fails or runs out of time does not stop
the next; the exit status says whether all went well. ``--budget SECONDS`` limits the whole time, ``--steps GLOB`` takes some
of the steps. The report also contains the records that earlier calls left in FOLDER.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from conformance.benchmark.benchmark import UNTIL
from conformance.engine.discovery import listed
from impls.implementation import is_installed
from impls.systems import SYSTEMS

ROOT = Path(__file__).resolve().parent.parent.parent
REPORT_S = 60.0
"""The part of a budget that is reserved for the report."""
GRACE_S = 15.0
"""The time between asking a step to end and killing it."""
FINISHING_S = 20.0
"""A measuring step starts nothing new in this last part of its time; it writes its records."""
TUNING = {"ademamix": "tools.ademamix_tuning", "sigmoid_attention": "tools.attention_tuning"}
"""Programs that try launch options and write what they find to the file that ``-o`` names."""


@dataclass(frozen=True)
class Step:
    """One Python program. ``share`` is its part of a budget; ``fine`` are the exit codes with which it has results."""

    name: str
    command: tuple[str, ...]
    share: float = 1.0
    least: float = 0.0
    """The least time that it gets, in seconds."""
    fine: tuple[int, ...] = (0,)


def main(arguments: list[str] | None = None, made: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> int:
    """The exit code; ``made`` makes the parser of the command line."""
    parser = made(prog="python -m conformance.runners.gpu", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-results"), help="folder for records, report and logs")
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda", help="cpu simulates the steps without a GPU")
    parser.add_argument("--impl", action="append", default=[], metavar="SPEC", help="what to test, as for pytest; repeatable")
    parser.add_argument("--quick", action="store_true", help="a small share of cases and workloads")
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="the time for everything; steps that exceed their share end"
    )
    parser.add_argument(
        "--steps", action="append", default=[], metavar="GLOB", help="only these steps; repeatable; see --list"
    )
    parser.add_argument("--list", action="store_true", help="list the steps and exit")
    options = parser.parse_args(arguments)
    output: Path = options.output.resolve()
    known = steps_for(options.device, options.impl, options.quick, output)
    unknown = [glob for glob in options.steps if not any(fnmatch.fnmatch(step.name, glob) for step in known)]
    if unknown:
        parser.error(f"found --steps {unknown[0]}, which is no step; expected one of {', '.join(s.name for s in known)}")
    chosen = [s for s in known if not options.steps or any(fnmatch.fnmatch(s.name, glob) for glob in options.steps)]
    if options.list:
        print("\n".join(f"{step.name}: python {' '.join(step.command)}" for step in chosen))
        return 0
    output.mkdir(parents=True, exist_ok=True)
    if options.device == "cuda" and (fault := _device_fault()):
        print(f"make gpu: {fault}", file=sys.stderr)
        return 2
    failed = run_all(chosen, output, options.budget)
    records = [str(file) for file in sorted(output.glob("*.jsonl"))]
    if not records or not run(Step("report", ("-m", "reports", *records, "-o", str(output / "report"))), output, None):
        failed.append("report")
    print(f"records, report and logs are in {options.output}" + (f"; failed: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def steps_for(device: str, impl: Sequence[str], quick: bool, output: Path) -> list[Step]:
    """Every step for a device, the most important first."""
    of_systems = [s.name for s in SYSTEMS if any(device in i.devices for i in listed() if i.system == s.name)]
    short = ["--quick"] if quick else []
    common = ["--device", device, "-q", "--no-header", "--tb=short", "-p", "no:cacheprovider"]
    common += [word for spec in impl for word in ("--impl", spec)] + short
    machine = ("-m", "conformance.benchmark.machine", "--device", device, "-o", str(output / "machine.json"))
    found = [Step("machine", machine, 0.3, least=45.0)]
    for kind, words, share in (
        ("conformance", (), 1.0),
        ("speed", ("--benchmark-only", *([] if quick else ["--thorough"])), 2.0),
    ):
        for system in of_systems:
            name = f"{kind}-{system}"
            # One word: pytest would take a separate file name outside the checkout for something to collect.
            records = (f"--records={output / f'{name}.jsonl'}",)
            # pytest exits with 1 where an implementation failed, which is a result, and with 5 where there was nothing to do.
            pytest = ("-m", "pytest", f"conformance/{system}", "--rootdir", str(ROOT), *words, *common, *records)
            found.append(Step(name, pytest, share, fine=(0, 1, 5)))
    for kind in ("claims", "curves"):
        for system in of_systems:
            name = f"{kind}-{system}"
            if is_installed(f"conformance.{system}.{kind}"):
                command = ("-m", f"conformance.studies.{kind}", system, *short, "--device", device)
                found.append(Step(name, (*command, "--records", str(output / f"{name}.jsonl"))))
    for system, module in TUNING.items():
        if device == "cuda" and system in of_systems and is_installed(module):
            file = output / f"tuning-{system}.json"
            found.append(Step(f"tuning-{system}", ("-m", module, "-o", str(file))))
    return found


def run_all(chosen: Sequence[Step], output: Path, budget: float | None) -> list[str]:
    """Run the steps in order, each within its share of the time left; return the names of those that gave no result."""
    ends = None if budget is None else time.monotonic() + max(0.0, budget - REPORT_S)
    failed = []
    for place, step in enumerate(chosen):
        limit = None if ends is None else share_of(ends - time.monotonic(), chosen[place:])
        if not run(step, output, limit):
            failed.append(step.name)
    return failed


def share_of(left: float, coming: Sequence[Step]) -> float:
    """Seconds for the first of the coming steps: its share of what is left. The others get what it does not use."""
    return max(coming[0].least, left * coming[0].share / sum(step.share for step in coming))


def run(step: Step, output: Path, limit: float | None) -> bool:
    """Run one step; show its output and keep it in ``NAME.log``. True where it gave results."""
    started = time.monotonic()
    print(f"== {step.name}" + (f" (at most {limit:.0f} s)" if limit is not None else ""), flush=True)
    variables = dict(os.environ)
    if limit is not None:
        variables[UNTIL] = str(time.time() + max(0.0, limit - FINISHING_S))
    (output / f"{step.name}.jsonl").unlink(missing_ok=True)  # of an earlier call
    with (output / f"{step.name}.log").open("w", encoding="utf-8") as log:
        # A session of its own, so that the processes that it starts end with it.
        process = subprocess.Popen(
            [sys.executable, *step.command],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=variables, start_new_session=True,
        )  # fmt: skip
        overdue: list[str] = []
        timer = None if limit is None else threading.Timer(limit, _end, (process, overdue))
        if timer is not None:
            timer.daemon = True
            timer.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                log.write(line)
                print(line, end="", flush=True)
            code = process.wait()
        except BaseException:
            _signal(process, signal.SIGKILL)
            raise
        finally:
            if timer is not None:
                timer.cancel()
    words = f"exit {code} after {time.monotonic() - started:.0f} s" + (", its time was up" if overdue else "")
    print(f"== {step.name}: {words}", flush=True)
    return code in step.fine and not overdue


def _end(process: subprocess.Popen[str], overdue: list[str]) -> None:
    """Interrupt it as Ctrl-C does, so that it can write what it has; then kill it."""
    overdue.append("asked")
    _signal(process, signal.SIGINT)
    try:
        process.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGKILL)


def _signal(process: subprocess.Popen[str], which: signal.Signals) -> None:
    if process.poll() is None:
        os.killpg(process.pid, which)


def _device_fault() -> str:
    try:
        import torch
    except ImportError:
        return "found no torch in this Python; run it with the Python that has it (make gpu PYTHON=...)"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device here; run it on a machine that has one, or simulate with --device cpu"
    return ""


if __name__ == "__main__":
    raise SystemExit(main())
