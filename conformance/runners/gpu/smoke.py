"""Try each kernel on a few small shapes: against the reference, and ten times on the same input, bit for bit.

``python -m conformance.runners.gpu.smoke [--device cuda] [-o FILE]`` prints a line for each kernel and shape. It is what runs
first on a device, and what a memory checker or a profiler runs: ``--once`` calls each kernel once and compares nothing.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from conformance.benchmark.workload import Workload
from conformance.benchmark.workload_file import made
from conformance.engine.check import last_line, worst_of
from conformance.engine.discovery import listed
from conformance.engine.runner import obstacle
from impls.implementation import Implementation, NotRun, Unsupported
from impls.triton_support import interpret_without

KERNELS = ("sigmoid_attention/*triton*", "sigmoid_attention/*gluon*", "ademamix/triton*", "ademamix/cuda*")
"""Whatever of these is listed."""
REPEATS = 10

_SMALL = (
    {"length": 192, "dim": 64, "direction": "fwd"},
    {"length": 256, "dim": 128, "causal": True, "direction": "fwd-bwd"},
    {"length": 200, "dim": 64, "causal": True, "direction": "fwd-bwd"},
    {"length": 130, "dim": 80, "direction": "fwd-bwd"},
    {"length": 1, "keys": 300, "dim": 64, "key_heads": 1, "causal": True, "direction": "fwd"},
    {"lengths": [70, 130, 1], "dim": 64, "key_heads": 1, "causal": True, "direction": "fwd-bwd"},
)
_LARGE = tuple(
    {"batch": 2, "heads": 16, "length": 4096, "dim": 128, "causal": causal, "direction": direction}
    for direction in ("fwd", "bwd")
    for causal in (False, True)
)
_STEPS = tuple(
    {"dtype": dtype, "states": states, "parameters": parameters, "tensors": tensors}
    for dtype, states in (("float32", "float32"), ("bfloat16", "float32"), ("float32", "8bit"), ("bfloat16", "8bit"))
    for parameters, tensors in ((40_007, 1), (30_000, 3))
)
_LARGE_STEPS = tuple({**step, "parameters": 100_000_000, "tensors": 1} for step in _STEPS[::2])


def workloads_for(device: str, size: str) -> list[Workload]:
    """Attention and steps; Triton's interpreter takes float16 alone of the 16-bit dtypes."""
    dtype = "float16" if device == "cpu" else "bfloat16"
    attention = _LARGE if size == "large" else _SMALL
    entries: list[dict[str, Any]] = [
        {"system": "sigmoid_attention", "heads": 2, "dtype": dtype, **shape} for shape in attention
    ]
    entries += [{"system": "ademamix", **step} for step in (_LARGE_STEPS if size == "large" else _STEPS)]
    return [made(entry) for entry in entries]


@dataclass(frozen=True)
class Outcome:
    """What became of one kernel on one shape: ``verdict`` is right, wrong, differs, error, or not run."""

    implementation: str
    workload: str
    verdict: str
    message: str = ""
    margin: float | None = None


def kernels() -> list[Implementation]:
    return [each for each in listed() if any(fnmatch.fnmatch(each.name, glob) for glob in KERNELS)]


def tried(implementation: Implementation, workload: Workload, device: str, *, once: bool, repeats: int) -> Outcome:
    """Call the kernel; compare a call with the reference, and calls on one input with each other."""

    def outcome(verdict: str, message: str = "", margin: float | None = None) -> Outcome:
        return Outcome(implementation.name, workload.id, verdict, message, margin)

    try:
        if (found := obstacle(implementation, device, workload.dtype, workload.needs, quick=False)) is not None:
            raise found
        module = importlib.import_module(f"conformance.{workload.system}.workloads")
        if (
            workload.system == "ademamix"
            and module.moments_kept(implementation, workload.dtype) != workload.parameters["states"]
        ):
            raise Unsupported("it keeps its moments in another format")
        prepared = module.prepare(implementation, workload, device)
        if once:
            prepared.run()
            _wait(device)
            return outcome("called")
        worst = worst_of(list(prepared.verify()))
        margin = float(f"{worst.margin:.3g}")
        if not worst.passed:
            where = f"{worst.quantity} {worst.worst}".strip()
            return outcome("wrong", f"{where}: got {worst.got}, expected {worst.expected} within {worst.bound}", margin)
        if different := _unlike(images(implementation, workload, device, repeats)):
            return outcome("differs", different, margin)
        return outcome("right", f"and {repeats} times the same bits", margin)
    except (NotRun, Unsupported) as reason:
        return outcome("not run", str(reason))
    except Exception as error:
        return outcome("error", last_line(error))


def images(implementation: Implementation, workload: Workload, device: str, repeats: int) -> Iterator[list[bytes]]:
    """The bits of all results of each of so many calls on one input."""
    connect = importlib.import_module(f"conformance.{workload.system}.harness.subject").connect
    subject = connect(implementation, device)
    if workload.system == "sigmoid_attention":
        work = subject.timed(workload.parameters["load"])
        for _ in range(repeats):
            yield [np.asarray(x.detach().cpu().double()).tobytes() for x in work.run().values()]
        return
    load = importlib.import_module("conformance.ademamix.workloads").load_of(workload)
    for _ in range(repeats):
        running = subject.start(load)
        running.step()
        running.step()
        yield [np.asarray(x).tobytes() for x in running.read()]


def _unlike(found: Iterator[list[bytes]]) -> str:
    first = next(found)
    for number, other in enumerate(found, 2):
        if other != first:
            return f"call {number} on the same input gave other bits than the first"
    return ""


def _wait(device: str) -> None:
    if device == "cuda":
        import torch

        torch.cuda.synchronize()


def main(arguments: Sequence[str] | None = None) -> int:
    """1 where a kernel is wrong, differs from itself or raises."""
    parser = argparse.ArgumentParser(
        prog="python -m conformance.runners.gpu.smoke", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("-o", "--output", type=Path, help="file for the same as JSON")
    parser.add_argument("--once", action="store_true", help="call each kernel once and compare nothing")
    parser.add_argument("--size", choices=["small", "large"], default="small")
    parser.add_argument("--repeats", type=int, default=REPEATS, help="calls whose bits are compared")
    given = parser.parse_args(arguments)
    interpret_without((given.device,))
    outcomes: list[Outcome] = []
    for workload in workloads_for(given.device, given.size):
        for implementation in kernels():
            if implementation.system == workload.system and given.device in implementation.devices:
                outcomes.append(tried(implementation, workload, given.device, once=given.once, repeats=given.repeats))
                last = outcomes[-1]
                margin = "" if last.margin is None else f"margin {last.margin}, "
                print(f"{last.verdict}: {last.implementation} on {last.workload}: {margin}{last.message}", flush=True)
                if given.output:
                    given.output.write_text(json.dumps([vars(each) for each in outcomes], indent=1) + "\n", encoding="utf-8")
    return int(any(each.verdict in ("wrong", "differs", "error") for each in outcomes))


if __name__ == "__main__":
    raise SystemExit(main())
