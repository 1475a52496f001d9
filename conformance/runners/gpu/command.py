"""Run everything that needs a GPU, from a bare checkout, in three commands of nine and a half minutes each.

Each leaves records, a report and the log of each step in a folder, and with --archive all of it in one file that is replaced
after each step. A step that fails or runs out of time keeps what it has and does not stop the next. It installs nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

from conformance.runners.gpu import archive
from conformance.runners.gpu.plan import BUDGET_S, PARTS, RESERVED_S, GpuPlan
from conformance.runners.gpu.step import Progress, Step, run, run_all


def main(arguments: list[str] | None = None, made: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> int:
    """The exit code; ``made`` makes the parser of the command line."""
    parser = made(prog="python -m conformance.runners.gpu", description=(__doc__ or "").partition("\n")[0])
    add_arguments(parser)
    options = parser.parse_args(arguments)
    folder: Path = options.output.resolve()
    parts = [options.part] if options.part else list(PARTS)
    plan = GpuPlan(folder, tuple(options.impl), options.quick, options.rehearse, *processes(options.rehearse))
    known = [step for part in parts for step in plan.steps(part)]
    unknown = [glob for glob in options.steps if not any(fnmatch.fnmatch(step.name, glob) for step in known)]
    if unknown:
        parser.error(f"found --steps {unknown[0]}, which is no step; expected one of {', '.join(s.name for s in known)}")
    chosen = [s for s in known if not options.steps or any(fnmatch.fnmatch(s.name, glob) for glob in options.steps)]
    if options.list:
        print("\n".join(f"{step.name}: python {' '.join(step.command)}" for step in chosen))
        return 0
    if not options.rehearse and (fault := device_fault()):
        print(f"gaugeblock gpu: {fault}", file=sys.stderr)
        return 2
    folder.mkdir(parents=True, exist_ok=True)
    archive.unpack_all(options.unpack, folder, plan.cache)
    budget = options.budget or (BUDGET_S if options.part else None)
    progress = work(plan, chosen, budget, options.archive, options.kernels)
    failed = progress.failed()
    print(f"records, report and logs are in {options.output}" + (f"; failed or cut: {', '.join(failed)}" if failed else ""))
    return 1 if failed else 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("part", nargs="?", choices=PARTS, help="one part, in 9.5 minutes; none: all, without a limit")
    parser.add_argument("-o", "--output", type=Path, default=Path("gpu-results"), help="folder for records, report and logs")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="keep all of it in FILE too, 16 MB at most")
    parser.add_argument("--kernels", type=Path, metavar="FILE", help="keep compiled kernels in FILE, 16 MB at most")
    parser.add_argument(
        "--unpack", type=Path, action="append", default=[], metavar="FILE",
        help="begin with what such a file holds; repeatable",
    )  # fmt: skip
    parser.add_argument("--rehearse", action="store_true", help="the same steps on this CPU, small; no figure means anything")
    parser.add_argument("--impl", action="append", default=[], metavar="SPEC", help="what to test, as for pytest; repeatable")
    parser.add_argument("--quick", action="store_true", help="a small share of cases")
    parser.add_argument(
        "--budget", type=float, metavar="SECONDS", help="the time for everything; steps that exceed their share end"
    )
    parser.add_argument(
        "--steps", action="append", default=[], metavar="GLOB", help="only these steps; repeatable; see --list"
    )
    parser.add_argument("--list", action="store_true", help="list the steps and exit")


def processes(rehearse: bool) -> tuple[int, int]:
    """How many compile and how many test: a rehearsal, and a machine with few CPUs, takes two."""
    return (2, 2) if rehearse else (16, 8)


def work(plan: GpuPlan, chosen: list[Step], budget: float | None, results: Path | None, kernels: Path | None) -> Progress:
    """Run the steps, the report last, and keep archives after each."""

    def keep(step: Step) -> None:
        if kernels is not None and step.name.startswith(("precompile", "smoke", "tuning")) and plan.cache.is_dir():
            archive.keep_kernels(plan.cache, kernels)
        if results is not None:
            archive.keep_results(plan.folder, results)

    limit = None if budget is None else max(0.0, budget - RESERVED_S)
    progress = run_all(chosen, plan.folder, limit, keep)
    if any(plan.folder.glob("*.jsonl")):
        shutil.rmtree(plan.folder / "report", ignore_errors=True)
        report = plan.report()
        progress.add(run(report, plan.folder, None if budget is None else RESERVED_S - 10))
        keep(report)
    return progress


def device_fault() -> str:
    """Why this Python has no CUDA device; empty where it has one."""
    try:
        import torch
    except ImportError:
        return "found no torch in this Python; run it with the Python that has it (make gpu PYTHON=...)"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device here; run it on a machine that has one, or try the steps with --rehearse"
    return ""
