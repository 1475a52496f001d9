"""Try what measuring relies on, on this machine: clock, caches, memory rates and telemetry.

``python -m conformance.benchmark.machine [--device cuda] [-o FILE]`` prints one line for each and writes them as JSON. A part
that fails says how, and the others are still tried, so that a first run on a new machine shows at once what to trust.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from conformance.benchmark import environment, roofline
from conformance.benchmark.affinity import pinned
from conformance.benchmark.cache import CONDITIONS, cache_of
from conformance.benchmark.sampler import Buffers, taker
from conformance.benchmark.telemetry import HostMonitor, open_reader
from conformance.benchmark.timer import DeviceClock, TorchCuda, clock_for
from conformance.engine.check import last_line
from impls.triton_support import interpret_without

FOOTPRINTS = {"fits every cache": 2**20, "fits no cache": 2**28}
"""Bytes that a copy and an update read and write in all."""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m conformance.benchmark.machine", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cpu")
    parser.add_argument("-o", "--output", type=Path, help="file for the same as JSON")
    options = parser.parse_args(arguments)
    interpret_without((options.device,))
    with pinned():
        found: dict[str, Any] = {}
        for name, value in told(parts(options.device)):
            found[name] = value
            print(f"{name}: {json.dumps(value)}", flush=True)
            if options.output:  # each time, so that what was found stays if the next part hangs
                options.output.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 1 if any(isinstance(value, dict) and "fault" in value for value in found.values()) else 0


def told(asked: dict[str, Callable[[], Any]]) -> Iterator[tuple[str, Any]]:
    """The answer of each part, or its fault."""
    for name, ask in asked.items():
        try:
            yield name, ask()
        except Exception as error:
            yield name, {"fault": last_line(error)}


def parts(device: str) -> dict[str, Callable[[], Any]]:
    """What is tried on a device."""
    asked: dict[str, Callable[[], Any]] = {
        "environment": lambda: environment.describe(with_gpu=device == "cuda").to_json(),
        "last-level cache, bytes": lambda: cache_of(device).bytes,
        "host": _host,
    }
    if device == "cuda":
        asked |= {
            "telemetry": _reading,
            "spin of 1 ms lasts, seconds": _spin,
            "launches queued ahead": partial(_launches, graph=False),
            "launches in a graph": partial(_launches, graph=True),
        }
    for name, size in FOOTPRINTS.items():
        for cache in CONDITIONS:
            asked[f"memory, {name}, {cache}"] = partial(_rates, size, device, cache)
    asked["matrix product, float32, warm"] = partial(_product, "float32", device)
    if device == "cuda":
        asked["matrix product, bfloat16, warm"] = partial(_product, "bfloat16", device)
        asked["telemetry after all this"] = _reading
    return asked


def _host() -> dict[str, Any]:
    watch = HostMonitor()
    watch.start()
    return watch.stop(0).facts


def _reading() -> Any:
    reader = open_reader()
    return reader if isinstance(reader, str) else {"source": reader.source, **vars(reader.read())}


def _spin() -> float:
    device = TorchCuda()
    device.synchronize()
    start = device.mark()
    device.spin(1e-3)
    end = device.mark()
    device.synchronize()
    return float(f"{device.between(start, end):.4g}")


def _launches(graph: bool) -> dict[str, Any]:
    """A hundred tiny kernels, whose launches take longer than they do."""
    import torch

    clock = clock_for("cuda")
    assert isinstance(clock, DeviceClock)
    tensor = torch.rand(1024, device="cuda")

    def run() -> None:
        for _ in range(100):
            tensor.mul_(roofline.NEARLY_ONE)

    run()
    work = clock.captured(run, 1, None) if graph else clock.ready(run, 1)
    if isinstance(work, str):
        return {"fault": work}
    take = taker(clock, None)
    seconds = sorted(take(Buffers(work, work.launch), i) for i in range(9))[4]
    return {
        "device_s": float(f"{seconds:.4g}"),
        "host_s": float(f"{clock.launching_seconds(run):.4g}"),
        "exposed": work.exposed,
        "timed": work.timed,
    }


def _rates(size: int, device: str, cache: str) -> dict[str, Any]:
    return {name: _said(rate) for name, rate in roofline.memory_rates(size, device, cache).items()}


def _product(dtype: str, device: str) -> dict[str, Any]:
    return {name: _said(rate) for name, rate in roofline.product_rates(dtype, device, "warm").items()}


def _said(rate: roofline.Rate) -> dict[str, float]:
    return {"best": float(f"{rate.best:.4g}"), "typical": float(f"{rate.typical:.4g}")}


if __name__ == "__main__":
    raise SystemExit(main())
