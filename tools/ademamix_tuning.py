"""Which launch shape of the fused kernels is fastest on a device, found by trying them, and kept as a record.

``tune(device, output)`` is for a CUDA device; ``python -m tools.ademamix_tuning`` calls it. A shape is timed only after
its step has been held against the eager one. Nothing is changed: the record says what to put into
`impls.ademamix.backends.fused_triton.SHAPES` or into ADEMAMIX_TRITON_SHAPE and ADEMAMIX_CUDA_SHAPE.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

TRITON = ((512, 2), (512, 4), (1024, 4), (1024, 8), (2048, 4), (2048, 8), (4096, 8), (8192, 16))
"""Elements of a program and its warps."""
CUDA = ((1024, 128), (2048, 128), (2048, 256), (4096, 256), (8192, 256), (8192, 512))
"""Elements and threads of a block."""
KINDS = (("float32", "float32"), ("float32", "bfloat16"), ("bfloat16", "bfloat16"), ("8bit", "float32"))
"""Formats of moments and of parameters."""
LISTS = {"one": 1, "many": 1000}
SAMPLES = 15
UNTIL = "GAUGEBLOCK_UNTIL"
"""As `conformance.benchmark.UNTIL`."""


def tune(device: str, output: Path, count: int = 100_000_000, samples: int = SAMPLES) -> dict[str, Any]:
    """Time every shape on ``count`` parameters, in one tensor and in a thousand, and write it all to ``output`` as JSON."""
    lines = []
    for backend, variable, shapes in (("triton", "ADEMAMIX_TRITON_SHAPE", TRITON), ("cuda", "ADEMAMIX_CUDA_SHAPE", CUDA)):
        for states, dtype in KINDS:
            for name, tensors in LISTS.items():
                lines += list(_sweep(device, backend, variable, shapes, states, dtype, name, count, tensors, samples))
    best: dict[str, Any] = {}
    for line in lines:
        key = f"{line['backend']} {line['states']} {line['dtype']} {line['list']}"
        if "median_s" in line and line["median_s"] < best.get(key, {"median_s": float("inf")})["median_s"]:
            best[key] = line
    found = {"device": _name(device), "count": count, "samples": samples, "tried": lines, "best": best}
    output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def _sweep(
    device: str,
    backend: str,
    variable: str,
    shapes: tuple[tuple[int, int], ...],
    states: str,
    dtype: str,
    name: str,
    count: int,
    tensors: int,
    samples: int,
) -> Iterator[dict[str, Any]]:
    import torch

    from impls.ademamix.optimizer import AdEMAMix

    parameter_bytes = 4 if dtype == "float32" else 2
    state_bytes = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1 + 4 / 256}[states]
    moved = count * (3 * parameter_bytes + 6 * state_bytes)
    line = {"backend": backend, "states": states, "dtype": dtype, "list": name}
    for shape in shapes:
        given = {**line, "shape": list(shape)}
        if time.time() > float(os.environ.get(UNTIL, "inf")):
            yield {**given, "fault": "the time that this run was given is over"}
            continue
        with _set(variable, ",".join(map(str, shape))):
            try:
                torch.manual_seed(0)
                made = [
                    torch.nn.Parameter(torch.randn(count // tensors, device=device).to(getattr(torch, dtype)))
                    for _ in range(tensors)
                ]
                for parameter in made:
                    parameter.grad = torch.randn_like(parameter)
                twin = torch.nn.Parameter(made[0].detach()[:10_000].clone())
                twin.grad = made[0].grad[:10_000].clone()  # type: ignore[index]
                optimizer = AdEMAMix(made, backend=backend, state_dtype=states)
                optimizer.step()
                AdEMAMix([twin], backend="eager", state_dtype=states).step()
                whole = min(len(made[0]), len(twin)) // 256 * 256  # a block that was cut has another scale
                off = (made[0].detach()[:whole].double() - twin.detach()[:whole].double()).abs().max().item()
                if not off <= 1e-2:
                    yield {**given, "fault": f"its step is {off:.3g} away from the eager one"}
                    continue
                seconds = _times(optimizer.step, device, samples)
            except Exception as error:  # a shape that does not fit a device is an answer too
                yield {**given, "fault": f"{type(error).__name__}: {error}"[:300]}
                continue
            median = statistics.median(seconds)
            yield {**given, "median_s": median, "low_s": min(seconds), "high_s": max(seconds), "bytes_per_s": moved / median}


def _times(step: Any, device: str, samples: int) -> list[float]:
    """Seconds of single steps. Enough to choose a shape by; what is published is measured otherwise."""
    import torch

    waits = torch.cuda.synchronize if device.startswith("cuda") else (lambda: None)
    seconds = []
    for number in range(samples + 3):
        waits()
        start = time.perf_counter()
        step()
        waits()
        if number >= 3:
            seconds.append(time.perf_counter() - start)
    return seconds


@contextmanager
def _set(variable: str, value: str) -> Iterator[None]:
    before = os.environ.get(variable)
    os.environ[variable] = value
    try:
        yield
    finally:
        if before is None:
            del os.environ[variable]
        else:
            os.environ[variable] = before


def _name(device: str) -> str:
    import torch

    return torch.cuda.get_device_name(device) if device.startswith("cuda") else device


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.ademamix_tuning", description=__doc__.partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("ademamix-tuning.json"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--count", type=int, default=100_000_000, help="parameters in all")
    options = parser.parse_args()
    for key, line in tune(options.device, options.output, options.count)["best"].items():
        print(f"{key}: shape {line['shape']}, {line['bytes_per_s'] / 1e9:.0f} GB/s")


if __name__ == "__main__":
    main()
