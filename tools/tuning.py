"""What both tuners share: verify a candidate against the reference, time it beside the options in use, keep the best so far.

A `TuningJob` is one kernel on one input, for which candidates are tried: dictionaries of changed launch options. An empty one,
the options in use, comes first and is timed beside itself, which shows the noise. Times are the device's own, in pairs, with a
cold cache. The file is rewritten as a whole after each candidate, so that a run that is cut short leaves what it found.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from conformance.benchmark.benchmark import UNTIL
from conformance.benchmark.cache import cache_of
from conformance.benchmark.timer import Clock, DeviceClock, DeviceLost, clock_for, nothing
from conformance.engine.check import worst_of
from conformance.engine.comparison import Comparison
from impls.implementation import NotRun
from impls.triton_support import interpret_without

PAIRS, WARM_UP = 15, 3
REHEARSAL = "times of a rehearsal on a CPU, which say nothing about a device"

Change = dict[str, Any]


class TuningJob(Protocol):
    """One kernel on one input. ``fields`` tell it from others in the file."""

    @property
    def fields(self) -> dict[str, Any]: ...

    def changes(self) -> Iterable[Change]:
        """The options in use, an empty change, and then those to be tried beside them."""

    def run(self, change: Change) -> Callable[[], Any]:
        """A function that does the work once with these options, always on the same buffers."""

    def verify(self, change: Change) -> Iterable[Comparison]:
        """Compare a new call, whose results went into poisoned memory, with the reference."""


@dataclass
class TuningFindings:
    """The lines of a tuning run, and the file that they are kept in."""

    file: Path
    header: dict[str, Any]
    lines: list[dict[str, Any]] = field(default_factory=list)

    def add(self, line: dict[str, Any]) -> None:
        self.lines.append(line)
        self.keep()

    def keep(self, cut_short: str = "", *, complete: bool = False) -> None:
        """Write all of it in place of the file: whoever reads it sees the old one or the new one, never a part."""
        state = {"complete": complete, "cut_short": cut_short, "best": best(self.lines), "tried": self.lines}
        replace_file(self.file, json.dumps({**self.header, **state}, indent=1))

    def resume(self) -> None:
        """Take over the lines of an earlier process."""
        if self.file.is_file():
            self.lines = json.loads(self.file.read_text(encoding="utf-8"))["tried"]

    def has(self, fields: dict[str, Any], change: Change) -> bool:
        wanted = json.loads(json.dumps({**fields, "change": change}))
        return any(all(line.get(name) == value for name, value in wanted.items()) for line in self.lines)


def replace_file(file: Path, text: str) -> None:
    """Write the text to a file beside it and move that into its place."""
    beside = file.with_name(file.name + ".new")
    beside.write_text(text + "\n", encoding="utf-8")
    os.replace(beside, file)


_OF_A_CANDIDATE = ("change", "margin", "ratio", "median_s", "error", "exposed")


def best(lines: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The fastest right candidate of each job, and the ratio of the options in use to themselves, which is noise."""
    jobs: dict[str, list[dict[str, Any]]] = {}
    for line in lines:
        fields = {name: value for name, value in line.items() if name not in _OF_A_CANDIDATE}
        jobs.setdefault(json.dumps(fields), []).append(line)
    found = []
    for fields_text, tried in jobs.items():
        right = [line for line in tried if "median_s" in line]
        if right:
            # Where the options in use are wrong there is no ratio, for any of the job.
            fastest = max(right, key=lambda line: line.get("ratio") or 1 / line["median_s"])
            noise = next((line.get("ratio") for line in right if not line["change"]), None)
            kept = {name: fastest.get(name) for name in ("ratio", "median_s", "margin")}
            found.append({**json.loads(fields_text), "best": fastest["change"], **kept, "noise": noise})
    return found


def work_off(jobs: Iterable[TuningJob], found: TuningFindings, clock: Clock, evict: Callable[[], Any] = nothing) -> int:
    """Try every candidate of every job and keep what is found; return how many were timed.

    Ends early, and says so in the file, at `GAUGEBLOCK_UNTIL`, on Ctrl-C, and with DeviceLost where the device computes
    nothing more.
    """
    until = float(os.environ.get(UNTIL) or math.inf)
    timed = 0
    try:
        for job in jobs:
            base: Callable[[], Any] | None = None
            for change in job.changes():
                if time.time() > until:
                    found.keep("the time that this run was given is over")
                    return timed
                if found.has(job.fields, change):
                    continue
                line: dict[str, Any] = {**job.fields, "change": change}
                try:
                    line["margin"] = verified(job.verify(change))
                    if base is None and (not change or _was_right(found, job)):
                        base = job.run({})
                    line |= compared(clock, base, job.run(change), evict)
                    timed += 1
                except Exception as error:  # out of resources, a wrong answer, a compiler that gave up: findings
                    line["error"] = f"{type(error).__name__}: {error}"[:300]
                    if not still_works(clock):
                        found.add(line)
                        raise DeviceLost(line["error"]) from error
                found.add(line)
    except (DeviceLost, KeyboardInterrupt) as stopped:
        found.keep(f"{type(stopped).__name__}: {stopped}")
        raise
    found.keep(complete=True)
    return timed


def _was_right(found: TuningFindings, job: TuningJob) -> bool:
    """Whether an earlier process found the options in use right."""
    return any(not line["change"] and "median_s" in line and job.fields.items() <= line.items() for line in found.lines)


def still_works(clock: Clock) -> bool:
    """Whether the device still computes what is known."""
    return not isinstance(clock, DeviceClock) or clock.device.works()


def verified(comparisons: Iterable[Comparison]) -> float:
    """The worst margin; AssertionError above 1, and where nothing was compared."""
    every = list(comparisons)
    if not every:
        raise AssertionError("nothing was compared with the reference")
    worst = worst_of(every)
    if not worst.passed:
        where = f"{worst.quantity} {worst.worst}".strip()
        raise AssertionError(f"wrong: {where}: got {worst.got}, expected {worst.expected} within {worst.bound}")
    return float(f"{worst.margin:.4g}")


def compared(clock: Clock, base: Callable[[], Any] | None, run: Callable[[], Any], evict: Callable[[], Any]) -> dict[str, Any]:
    """Seconds of one call by the clock, and the options in use over them: the median of pairs that take turns."""
    works = [clock.ready(each, 1) for each in (base, run) if each is not None]
    for work in works:
        for _ in range(WARM_UP):
            clock.time(work)
    taken: list[list[float]] = [[] for _ in works]
    for pair in range(PAIRS):
        for place in range(len(works))[:: -1 if pair % 2 else 1]:
            taken[place].append(clock.time(works[place], evict))
    line: dict[str, Any] = {"median_s": statistics.median(taken[-1])}
    if base is not None:
        line["ratio"] = statistics.median(a / b for a, b in zip(*taken, strict=True))
    if works[-1].exposed:
        line["exposed"] = f"{works[-1].exposed} of {works[-1].timed} times hold the time of launches"
    return line


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where what is found goes, as JSON")
    parser.add_argument("--rehearse", action="store_true", help="a few small jobs on this CPU, to try the steps")
    parser.add_argument("--resume", action="store_true", help="go on with what FILE has not tried yet")


def tune(jobs: Iterable[TuningJob], output: Path, *, rehearse: bool, resume: bool = False) -> int:
    """Work off the jobs; return how many candidates were timed. NotRun without a CUDA device, where this is no rehearsal."""
    import torch

    if not rehearse and not torch.cuda.is_available():
        raise NotRun("tuning needs a CUDA device: a time in the interpreter means nothing (--rehearse tries the steps)")
    device = "cpu" if rehearse else "cuda"
    found = TuningFindings(output, {"device": REHEARSAL if rehearse else torch.cuda.get_device_name(), "pairs": PAIRS})
    if resume:
        found.resume()
    return work_off(jobs, found, clock_for(device), nothing if rehearse else cache_of(device).evict)


def run_as_program(module: str, jobs: Callable[[str, bool], Iterable[TuningJob]], given: argparse.Namespace) -> int:
    """Tune as the options say. Does not return where a candidate took the device down: a fresh process goes on."""
    if given.rehearse:
        interpret_without(("cpu",))
    try:
        timed = tune(
            jobs("cpu" if given.rehearse else "cuda", given.rehearse), given.output, rehearse=given.rehearse,
            resume=given.resume,
        )  # fmt: skip
    except NotRun as reason:
        print(reason, file=sys.stderr)
        return 1
    except DeviceLost as lost:
        print(f"{lost}; going on in a fresh process", file=sys.stderr, flush=True)
        words = ["-o", str(given.output), *(["--rehearse"] if given.rehearse else []), "--resume"]
        os.execv(sys.executable, [sys.executable, "-m", module, *words])
    for line in json.loads(given.output.read_text(encoding="utf-8"))["best"]:
        print(json.dumps(line))
    print(f"{timed} candidates timed: {given.output}")
    return 0
