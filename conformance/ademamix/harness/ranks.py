"""Run an optimizer under torch.distributed: processes on this machine, gloo between them, results in files.

One call starts one set of processes, which imports the optimizer once and does every job. The outcomes are kept, so that the
checks of an implementation share them. Only the processes import torch.
"""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from conformance.ademamix.harness.problem import Ranks, RunOutcome
from conformance.ademamix.harness.run_loop import Job
from impls.implementation import NotRun, Unsupported, in_one_line

ROOT = Path(__file__).resolve().parent.parent.parent.parent
START_S = 600.0
"""Seconds within which the processes must have imported everything, on a machine that does other work too."""
JOB_S = 300.0
"""Seconds that one job may take beyond that."""

_KNOWN: dict[Any, tuple[tuple[Job, ...], list[Any]]] = {}


def run(target: str, settings: Mapping[str, Any], jobs: tuple[Job, ...], wanted: int) -> RunOutcome:
    """The outcome of the job with that number. Raises Unsupported, NotRun, or RuntimeError for any other failure."""
    key = (target, repr(sorted(settings.items())), tuple(id(problem) for problem, _ in jobs), tuple(r for _, r in jobs))
    if key not in _KNOWN:
        _KNOWN[key] = (jobs, _all(target, settings, jobs))  # the jobs too: their ids must not be given away again
    kind, value = _KNOWN[key][1][wanted]
    if kind == "outcome":
        outcome: RunOutcome = value
        return outcome
    raise {"unsupported": Unsupported, "not run": NotRun}.get(kind, RuntimeError)(value)


def _all(target: str, settings: Mapping[str, Any], jobs: tuple[Job, ...]) -> list[tuple[str, Any]]:
    folder = Path(tempfile.mkdtemp(prefix="ranks-"))
    try:
        (folder / "jobs.pickle").write_bytes(pickle.dumps((target, dict(settings), jobs)))
        message = _wait(folder, START_S + JOB_S * len(jobs))
        return [_outcome(folder, number, ranks, message) for number, (_, ranks) in enumerate(jobs)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _wait(folder: Path, seconds: float) -> str:
    """Run the processes to their end; returns why results may be missing."""
    paths = [str(ROOT), *(path for path in sys.path if path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "TORCH_CPP_LOG_LEVEL": "ERROR"}
    with (folder / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [sys.executable, "-m", "conformance.ademamix.harness.rank_worker", str(folder)],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            return f"the processes did not finish within {seconds:.0f} s"
        finally:
            _end(process)
    if code == 0:
        return "a process ended without a result"
    words = (folder / "stderr").read_text(errors="replace").strip().splitlines()
    return f"the processes ended with {code}: {words[-1] if words else 'no message'}"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the processes, which are a session of their own."""
    try:
        if hasattr(os, "killpg"):
            os.killpg(process.pid, 9)
        else:
            process.kill()
    except (ProcessLookupError, PermissionError):
        pass  # all have ended
    process.wait()


def _outcome(folder: Path, number: int, ranks: Ranks, message: str) -> tuple[str, Any]:
    found: list[tuple[str, Any]] = []
    for rank in range(ranks.world):
        file = folder / f"result-{number}-{rank}.pickle"
        found.append(pickle.loads(file.read_bytes()) if file.is_file() else ("error", message))
    for kind in ("not run", "unsupported"):
        for answer in found:
            if answer[0] == kind:
                return answer
    broken = [(rank, value) for rank, (kind, value) in enumerate(found) if kind == "error"]
    if broken:
        # The first to fail had a reason; the others then missed it in a collective call.
        rank, value = min(broken, key=lambda each: ("gloo" in each[1] or "finish" in each[1], each[0]))
        return "error", in_one_line(f"rank {rank} of {ranks.world}: {value}")
    histories, seconds = zip(*(value for _, value in found), strict=True)
    last = ranks.then or ranks.world
    return "outcome", RunOutcome(histories[0], replicas=histories[1:last], cpu_seconds=seconds)
