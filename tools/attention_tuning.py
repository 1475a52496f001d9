"""Find the fastest launch options: check every candidate, and time it on the device beside those in use.

``python -m tools.attention_tuning -o FILE`` tries the forward and gradient kernels, generic and Hopper's, at head dims 64, 128
and 256, causal and not. It writes a JSON line for each candidate and then one for the fastest of each kernel. It needs a CUDA
device and has never had one, so the options in use are those that look best in the compiler's output (tools.attention_sass).
``GAUGEBLOCK_UNTIL`` ends it in time.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from conformance.benchmark.benchmark import UNTIL
from impls.implementation import NotRun
from reference.rounding import BFLOAT16, Format
from tools.attention_candidates import candidates

SAMPLES = 20
WARM_UP = 3
WIDTH = 2048
"""Heads times head dim."""
BATCH = 2


class Job(NamedTuple):
    """One kernel, head dim and mask for which candidates are tried."""

    kernel: str
    """A key of `tools.attention_candidates.KERNELS`."""
    dim: int
    causal: bool


def jobs() -> Iterator[Job]:
    """The jobs, the most important first: if time runs out, the least important are left out."""
    for dim, hopper, causal in itertools.product((128, 64, 256), (True, False), (False, True)):
        for kernel in ("forward", "query", *(("key",) if dim <= 128 else ("keys", "values"))):
            if not hopper or dim <= 128:
                yield Job(f"hopper-{kernel}" if hopper else kernel, dim, causal)


def tune(device: str, output: Path, length: int = 4096) -> int:
    """Time every candidate and write a JSON line each; return how many ran. Its ratio is to the options in use, above 1 is
    faster. For each job the options in use are timed against themselves too (``"change": {}``): that ratio is noise.
    """
    import torch

    if device != "cuda" or not torch.cuda.is_available():
        raise NotRun("tuning needs a CUDA device: a time in the interpreter means nothing")
    until, ran, lines = float(os.environ.get(UNTIL) or math.inf), 0, []
    with output.open("w") as file:

        def write(line: dict[str, Any]) -> None:
            file.write(json.dumps(line) + "\n")
            file.flush()

        for job in jobs():
            call = prepare(job, length, device)
            for change in ({}, *candidates(job.kernel, job.dim, job.causal)):
                if time.time() > until:
                    write({"error": "the time that this run was given is over"})
                    return ran
                line: dict[str, Any] = {**job._asdict(), "length": length, "change": change}
                try:
                    line |= compared(call, change)
                    ran += 1
                    lines.append(line)
                except Exception as error:  # out of resources, or a compiler that gave up: a finding, not a fault
                    line["error"] = f"{type(error).__name__}: {error}"[:200]
                write(line)
        for line in best(lines):
            write(line)
    return ran


def best(lines: Sequence[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The fastest of each job, and the ratio of the options in use to themselves."""
    for key, group in itertools.groupby(lines, key=lambda line: (line["kernel"], line["dim"], line["causal"])):
        tried = list(group)
        fastest = max(tried, key=lambda line: line["ratio"])
        noise = next((line["ratio"] for line in tried if not line["change"]), None)
        kernel, dim, causal = key
        found = {"best": fastest["change"], "ratio": fastest["ratio"], "noise": noise}
        yield {"kernel": kernel, "dim": dim, "causal": causal, **found}


Call = Callable[[dict[str, Any]], Any]


def prepare(job: Job, length: int, device: str) -> Call:
    """A function that runs one kernel on inputs of its own with changed launch options and returns its output."""
    import torch

    from impls.sigmoid_attention import triton_hopper, triton_kernels
    from impls.sigmoid_attention.options import AttentionOptions

    module: Any = triton_hopper if job.kernel.startswith("hopper") else triton_kernels
    shape = (BATCH, max(1, WIDTH // job.dim), length, job.dim)
    dtype = torch.float16 if device == "cpu" else torch.bfloat16  # the interpreter has no bfloat16
    q, k, v, grad = (torch.randn(shape, dtype=dtype, device=device) for _ in range(4))
    options = AttentionOptions(bias=-math.log(length), causal=job.causal)

    def call(change: dict[str, Any]) -> Any:
        with triton_kernels.changed(change):
            match job.kernel.removeprefix("hopper-"):
                case "forward":
                    return module.forward(q, k, v, options)
                case "query":
                    found = module.query_gradient(grad, q, k, v, options)
                    return found if torch.is_tensor(found) else found[0]
                case "key":
                    return torch.stack(module.key_gradients(grad, q, k, v, options))
                case part:
                    found = module.key_gradients(grad, q, k, v, options, parts=(part,))
                    return found[("keys", "values").index(part)]

    return call


def allowed(expected: Any, stored: Format) -> float:
    """How far two computations of one result may differ: each rounds its weights once and its sums once."""
    return 4 * stored.unit_roundoff * float(expected.abs().max())


def compared(call: Call, change: dict[str, Any]) -> dict[str, float]:
    """How much faster the change is, once its result agrees with that of the options in use."""
    import torch

    expected, found = call({}).float(), call(change).float()
    most = allowed(expected, BFLOAT16)
    if not (worst := float((found - expected).abs().max())) <= most:
        raise AssertionError(f"differs from the options in use by {worst:.3g}; four roundings of the largest are {most:.3g}")
    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(WARM_UP + SAMPLES):
        for options, kept in zip(({}, change), times, strict=True):
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
            start.record()
            call(options)
            stop.record()
            torch.cuda.synchronize()
            if turn >= WARM_UP:
                kept.append(start.elapsed_time(stop))
    base, other = times
    return {
        "ratio": statistics.median(a / b for a, b in zip(base, other, strict=True)),
        "milliseconds": statistics.median(other),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune on the CUDA device; 1 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m tools.attention_tuning", description=__doc__)
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where the lines go")
    given = parser.parse_args(arguments)
    try:
        print(f"{tune('cuda', given.output)} candidates timed: {given.output}")
    except NotRun as reason:
        print(reason, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
