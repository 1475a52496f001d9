"""Find the fastest launch options: verify every candidate against the reference, and time it beside those in use.

``python -m tools.attention_tuning -o FILE`` tries the forward and gradient kernels, generic and Hopper's, at head dims 64, 128
and 256, causal and not. It writes a line for each candidate and the fastest of each kernel, again after each candidate. It
needs a CUDA device and has never had one, so the options in use are those that look best in the compiler's output
(tools.attention_sass). ``--rehearse`` tries the same steps in Triton's interpreter on a few candidates.
``GAUGEBLOCK_UNTIL`` ends it in time.
"""

from __future__ import annotations

import argparse
import itertools
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from conformance.benchmark.unforeseen import generator, one_in_each
from conformance.engine.comparison import Comparison, equal
from tools import tuning
from tools.attention_candidates import candidates
from tools.tuning import Change

WIDTH = 2048
"""Heads times head dim."""
BATCH = 2
LENGTH = 4096
TILE = 64
"""In each so many rows one is verified, of every head: no kernel's tile has fewer."""
SPAN = 256
"""Rows within so many neighbours are verified together."""
REHEARSED = 3
"""Jobs of a rehearsal, and the candidates of each."""
REHEARSED_LENGTH, REHEARSED_HEADS = 96, 2

RESULTS = {"forward": ("output",), "query": ("dq",), "key": ("dk", "dv"), "keys": ("dk",), "values": ("dv",)}
"""What each kernel computes, in the names of `compare_places`."""


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


@dataclass
class KernelJob:
    """A job on inputs of its own, drawn anew for each verification."""

    job: Job
    device: str
    length: int
    heads: int
    batch: int = BATCH
    most: int | None = None
    """Candidates beside the options in use; None for all."""
    results: list[Any] = field(default_factory=list)

    @property
    def fields(self) -> dict[str, Any]:
        return {**self.job._asdict(), "length": self.length}

    def changes(self) -> Iterable[Change]:
        yield {}
        yield from itertools.islice(candidates(self.job.kernel, self.job.dim, self.job.causal), self.most)

    @property
    def dtype(self) -> str:
        return "float16" if self.device == "cpu" else "bfloat16"  # the interpreter has no bfloat16

    @cached_property
    def inputs(self) -> dict[str, Any]:
        import torch

        shape = (self.batch, self.heads, self.length, self.job.dim)
        return {
            name: torch.randn(shape, dtype=getattr(torch, self.dtype), device=self.device) for name in ("q", "k", "v", "grad")
        }

    def run(self, change: Change) -> Callable[[], Any]:
        """The kernel alone; its results are kept until the next call, as a caller would."""
        from impls.sigmoid_attention import triton_hopper, triton_kernels
        from impls.sigmoid_attention.options import AttentionOptions

        kernel = self.job.kernel
        module: Any = triton_hopper if kernel.startswith("hopper") else triton_kernels
        q, k, v, grad = self.inputs.values()
        options = AttentionOptions(bias=-math.log(self.length), causal=self.job.causal)

        def run() -> Any:
            with triton_kernels.changed(change):
                match kernel.removeprefix("hopper-"):
                    case "forward":
                        found = (module.forward(q, k, v, options),)
                    case "query":
                        found = module.query_gradient(grad, q, k, v, options)
                        found = found if isinstance(found, tuple) else (found,)
                    case "key":
                        found = module.key_gradients(grad, q, k, v, options)
                    case part:
                        found = module.key_gradients(grad, q, k, v, options, parts=(part,))
                        found = (found[("keys", "values").index(part)],)
            self.results[:] = found[: len(self.names)]
            return found

        return run

    @property
    def names(self) -> tuple[str, ...]:
        return RESULTS[self.job.kernel.removeprefix("hopper-")]

    def verify(self, change: Change) -> Iterator[Comparison]:
        """Every element is written, and rows of each tile of every head are the reference's; the inputs are new ones.

        So what another candidate left in memory is never taken for this one's.
        """
        import torch

        from conformance.sigmoid_attention.harness.torch_backend import poisoned_allocations
        from conformance.sigmoid_attention.sampled_rows import compare_places

        for values in self.inputs.values():
            values.normal_()
        self.results.clear()
        with poisoned_allocations():
            self.run(change)()
        named = dict(zip(self.names, self.results, strict=True))
        for name, result in named.items():
            yield equal(f"elements of {name} that are not finite", int((~torch.isfinite(result)).sum()), 0)
        rng = generator()
        images = {name: x.detach().double().cpu().numpy() for name, x in {**self.inputs, **named}.items()}
        for batch, head in np.ndindex(self.batch, self.heads):
            rows = one_in_each(self.length, min(TILE, self.length), rng).tolist()
            yield from compare_places(
                {name: x[batch, head] for name, x in images.items()}, rows, f"batch {batch} head {head}", dtype=self.dtype,
                numerical_class="", bias=-math.log(self.length), causal=self.job.causal, span=SPAN,
            )  # fmt: skip


def kernel_jobs(device: str, rehearse: bool) -> Iterator[KernelJob]:
    """All jobs on a device, or a few small ones in the interpreter."""
    if not rehearse:
        return (KernelJob(job, device, LENGTH, max(1, WIDTH // job.dim)) for job in jobs())
    few = [job for job in jobs() if job.dim == 64 and not job.kernel.startswith("hopper")]
    return (KernelJob(job, "cpu", REHEARSED_LENGTH, REHEARSED_HEADS, 1, 1) for job in few[:REHEARSED])


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune on the CUDA device; 1 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m tools.attention_tuning", description=(__doc__ or "").partition("\n")[0])
    tuning.add_options(parser)
    given = parser.parse_args(arguments)
    return tuning.run_as_program("tools.attention_tuning", kernel_jobs, given)


if __name__ == "__main__":
    sys.exit(main())
