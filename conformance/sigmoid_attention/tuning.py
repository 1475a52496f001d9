"""Which tiles are fastest: every candidate is timed on the device beside the one in use, and checked before it is timed.

``python -m conformance.sigmoid_attention.tuning -o FILE`` sweeps block sizes, warps and stages of the forward kernels for head
dims 64 and 128, causal and not, and writes a JSON line for each. It needs a CUDA device; it has never had one, so the tiles in
use are those that the compiler's output speaks for (conformance.sigmoid_attention.sass).
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from impls.contract import NotRun

SAMPLES = 20


def candidates(kernel: str) -> Iterator[dict[str, Any]]:
    """What is tried; those that do not fit the device fail to compile or to launch, and say so in their line."""
    if kernel == "hopper":
        for m, n, specialised, newton in itertools.product((64, 128, 256), (64, 128), (True, False), (True, False)):
            yield {
                "BLOCK_M": m, "BLOCK_N": n, "SPECIALISED": specialised, "NEWTON": newton,
                "num_warps": 4 if specialised else 8,
            }  # fmt: skip
        return
    for m, n, warps, stages, split in itertools.product((64, 128), (32, 64, 128), (4, 8), (2, 3, 4), (True, False)):
        yield {"BLOCK_M": m, "BLOCK_N": n, "num_warps": warps, "num_stages": stages, "SPLIT": split}


def tune(device: str, output: Path, length: int = 4096) -> int:
    """Time every candidate: one JSON line each, with its ratio to the tiles in use (above 1 is faster). Gives how many ran."""
    import torch

    if device != "cuda" or not torch.cuda.is_available():
        raise NotRun("tuning needs a CUDA device: a time in the interpreter means nothing")
    from impls.sigmoid_attention import triton_hopper, triton_kernels

    ran = 0
    with output.open("w") as file:
        for (name, module), dim, causal in itertools.product(
            (("forward", triton_kernels), ("hopper", triton_hopper)), (64, 128), (False, True)
        ):
            q, k, v = (torch.randn(2, 2048 // dim, length, dim, dtype=torch.bfloat16, device=device) for _ in range(3))
            used = module.launch_options

            def call(change: dict[str, Any]) -> Any:
                module.launch_options = lambda *given, **options: {**used(*given, **options), **change}  # type: ignore[attr-defined] # noqa: B023
                try:
                    return module.attention(q, k, v, causal=causal, bias=-8.0)  # noqa: B023
                finally:
                    module.launch_options = used  # type: ignore[attr-defined] # noqa: B023

            expected = call({})
            for change in candidates(name):
                line: dict[str, Any] = {"kernel": name, "dim": dim, "causal": causal, "length": length, **change}
                try:
                    # The same rounding of the same weights, summed in another order: bfloat16's last place at most.
                    worst = float((call(change) - expected).abs().max() / expected.abs().max())
                    if worst > 2.0**-7:
                        raise AssertionError(f"differs from the tiles in use by {worst:.3g} of the largest output")
                    line["ratio"] = _ratio(lambda: call({}), lambda: call(change))  # noqa: B023
                    ran += 1
                except Exception as error:  # out of resources, or a compiler that gave up: a finding, not a fault
                    line["error"] = f"{type(error).__name__}: {error}"[:200]
                file.write(json.dumps(line) + "\n")
                file.flush()
    return ran


def _ratio(base: Any, other: Any) -> float:
    import torch

    times: tuple[list[float], list[float]] = ([], [])
    for turn in range(SAMPLES + 3):
        for call, kept in zip((base, other), times, strict=True):
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            call()
            stop.record()
            torch.cuda.synchronize()
            if turn >= 3:
                kept.append(start.elapsed_time(stop))
    ratios = sorted(a / b for a, b in zip(*times, strict=True))
    return ratios[len(ratios) // 2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune on the CUDA device; 1 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m conformance.sigmoid_attention.tuning", description=__doc__)
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
