"""Find the fastest launch shape of the fused kernels on a device by trying all, and write a record of it.

``tune(device, output)`` is for a CUDA device; ``python -m tools.ademamix_tuning`` calls it. A shape is timed only after its
step agreed with the eager one. Nothing is changed: the record says what to put into
`impls.ademamix.backends.fused_triton.SHAPES` or into ADEMAMIX_TRITON_SHAPE and ADEMAMIX_CUDA_SHAPE.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

from conformance.benchmark.benchmark import UNTIL

SHAPES = {
    "triton": ((512, 2), (512, 4), (1024, 4), (1024, 8), (2048, 4), (2048, 8), (4096, 8), (8192, 16)),
    "cuda": ((1024, 128), (2048, 128), (2048, 256), (4096, 256), (8192, 256), (8192, 512)),
}
"""By backend: elements of a program and its warps; elements and threads of a block."""
KINDS = (("float32", "float32"), ("float32", "bfloat16"), ("bfloat16", "bfloat16"), ("8bit", "float32"))
"""Formats of moments and of parameters."""
STATE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1 + 4 / 256}
LISTS = {"one": 1, "many": 1000}
SAMPLES, WARM_UP = 15, 3


@dataclass(frozen=True)
class Attempt:
    """One shape of one kernel, tried on a list of ``tensors`` parameters with ``count`` elements in all."""

    backend: str
    states: str
    dtype: str
    tensor_list: str
    shape: tuple[int, int]
    tensors: int
    count: int

    def measure(self, device: str, samples: int) -> dict[str, Any]:
        """Seconds of a step and bytes per second, or why there are none, such as a shape that does not fit."""
        line: dict[str, Any] = {"backend": self.backend, "states": self.states, "dtype": self.dtype}
        line |= {"list": self.tensor_list, "shape": list(self.shape)}
        if time.time() > float(os.environ.get(UNTIL, "inf")):
            return {**line, "fault": "the time that this run was given is over"}
        shape = ",".join(map(str, self.shape))
        try:
            with mock.patch.dict(os.environ, {f"ADEMAMIX_{self.backend.upper()}_SHAPE": shape}):
                seconds = self._seconds(device, samples)
        except Exception as error:
            return {**line, "fault": f"{type(error).__name__}: {error}"[:300]}
        moved = self.count * (3 * (4 if self.dtype == "float32" else 2) + 6 * STATE_BYTES[self.states])
        median = statistics.median(seconds)
        return {**line, "median_s": median, "low_s": min(seconds), "high_s": max(seconds), "bytes_per_s": moved / median}

    def _seconds(self, device: str, samples: int) -> list[float]:
        """Seconds of single steps, once the step agrees with the eager one. Published speeds come from the suite."""
        import torch

        from impls.ademamix.optimizer import AdEMAMix

        torch.manual_seed(0)
        dtype = getattr(torch, self.dtype)
        made = [
            torch.nn.Parameter(torch.randn(self.count // self.tensors, device=device).to(dtype)) for _ in range(self.tensors)
        ]
        for parameter in made:
            parameter.grad = torch.randn_like(parameter)
        copy = torch.nn.Parameter(made[0].detach()[:10_000].clone())
        copy.grad = made[0].grad[:10_000].clone()  # type: ignore[index]
        optimizer = AdEMAMix(made, backend=self.backend, state_dtype=self.states)
        optimizer.step()
        AdEMAMix([copy], backend="eager", state_dtype=self.states).step()
        whole = min(len(made[0]), len(copy)) // 256 * 256  # a block that was cut has another scale
        off = (made[0].detach()[:whole].double() - copy.detach()[:whole].double()).abs().max().item()
        if not off <= 1e-2:
            raise AssertionError(f"its step is {off:.3g} away from the eager one")
        wait = torch.cuda.synchronize if device.startswith("cuda") else int
        seconds = []
        for _ in range(samples + WARM_UP):
            wait()
            start = time.perf_counter()
            optimizer.step()
            wait()
            seconds.append(time.perf_counter() - start)
        return seconds[WARM_UP:]


def tune(device: str, output: Path, count: int = 100_000_000, samples: int = SAMPLES) -> dict[str, Any]:
    """Time every shape on ``count`` parameters, in one tensor and in a thousand, and write it all to ``output`` as JSON."""
    import torch

    lines, best = [], {}
    for (backend, shapes), (states, dtype), (name, tensors) in itertools.product(SHAPES.items(), KINDS, LISTS.items()):
        tried = [Attempt(backend, states, dtype, name, shape, tensors, count).measure(device, samples) for shape in shapes]
        lines += tried
        if timed := [line for line in tried if "median_s" in line]:
            best[f"{backend} {states} {dtype} {name}"] = min(timed, key=lambda line: line["median_s"])
    device_name = torch.cuda.get_device_name(device) if device.startswith("cuda") else device
    found = {"device": device_name, "count": count, "samples": samples, "tried": lines, "best": best}
    output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.ademamix_tuning", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("-o", "--output", type=Path, default=Path("ademamix-tuning.json"))
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--count", type=int, default=100_000_000, help="parameters in all")
    options = parser.parse_args()
    for key, line in tune(options.device, options.output, options.count)["best"].items():
        print(f"{key}: shape {line['shape']}, {line['bytes_per_s'] / 1e9:.0f} GB/s")


if __name__ == "__main__":
    main()
