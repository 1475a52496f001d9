"""Find the fastest launch shape of the fused kernels: verify each against the reference, time it beside that in use.

``python -m tools.ademamix_tuning -o FILE`` tries the Triton and the CUDA kernel with moments in 32, 16 and 8 bits, on one
tensor and on a thousand, 1e8 parameters in all. Nothing is changed: the file says what to put into
`impls.ademamix.backends.fused_triton.SHAPES` or into ADEMAMIX_TRITON_SHAPE and ADEMAMIX_CUDA_SHAPE. It has never had a device.
``--rehearse`` tries the same steps in Triton's interpreter. ``GAUGEBLOCK_UNTIL`` ends it in time.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from unittest import mock

import numpy as np
import numpy.typing as npt

from conformance.benchmark.unforeseen import generator, one_in_each
from conformance.engine.comparison import Comparison, compare, equal
from reference.ademamix import Hyperparameters, bounded_trajectory, numerical_class
from tools import tuning
from tools.tuning import Change

SHAPES = {
    "triton": ((512, 2), (512, 4), (1024, 4), (1024, 8), (2048, 4), (2048, 8), (4096, 8), (8192, 16)),
    "cuda": ((1024, 128), (2048, 128), (2048, 256), (4096, 256), (8192, 256), (8192, 512)),
}
"""By backend: elements of a program and its warps; elements and threads of a block."""
KINDS = (("float32", "float32"), ("8bit", "bfloat16"), ("8bit", "float32"), ("float32", "bfloat16"), ("bfloat16", "bfloat16"))
"""Formats of moments and of parameters, the most important first."""
CLASSES = {"float32": "", "bfloat16": "bfloat16-moments", "8bit": "ratios-8bit"}
STATE_BYTES = {"float32": 4.0, "bfloat16": 2.0, "8bit": 1 + 4 / 256}
LISTS = {"one": 1, "many": 1000}
COUNT = 100_000_000
REHEARSED_COUNT = 5000

HYPER = Hyperparameters(beta1=0.5, beta2=0.5, beta3=0.5, alpha=5.0, weight_decay=0.1)
RATE = 0.25
STEPS = 2
"""So large that what a lost moment changes exceeds what rounding does, in 16 bits too."""
BLOCK = 256
MOST_BLOCKS = 256
"""Blocks of so many elements that are compared with the reference, of all tensors together; each tensor has one at least."""


@dataclass
class ShapeJob:
    """One kernel on a list of ``tensors`` parameters with ``count`` elements in all."""

    backend: str
    states: str
    dtype: str
    tensor_list: str
    tensors: int
    count: int
    device: str
    most: int | None = None
    """Shapes beside that in use; None for all."""

    @property
    def fields(self) -> dict[str, Any]:
        named = {"backend": self.backend, "states": self.states, "dtype": self.dtype, "list": self.tensor_list}
        moved = self.count * (3 * (4 if self.dtype == "float32" else 2) + 6 * STATE_BYTES[self.states])
        return {**named, "count": self.count, "bytes": moved}

    def changes(self) -> Iterable[Change]:
        yield {}
        yield from ({"shape": list(shape)} for shape in SHAPES[self.backend][: self.most])

    def shaped(self, change: Change) -> Any:
        name = f"ADEMAMIX_{self.backend.upper()}_SHAPE"
        return mock.patch.dict(os.environ, {name: ",".join(map(str, change["shape"]))} if change else {})

    def drawn(self, numbers: int) -> list[list[Any]]:
        """So many lists of tensors whose elements have one sign in all of them, and none is nearly 0.

        All that a step adds up has that sign then, so that a right one moves every element.
        """
        import torch

        size, dtype = self.count // self.tensors, getattr(torch, self.dtype)
        signs = [torch.randn(size, device=self.device).sign() for _ in range(self.tensors)]
        return [
            [((torch.randn(size, device=self.device).abs() + 0.5) * sign).to(dtype) for sign in signs] for _ in range(numbers)
        ]

    def optimizer(self, starts: list[Any], gradients: list[Any]) -> tuple[Any, list[Any]]:
        import torch

        from impls.ademamix.optimizer import AdEMAMix

        parameters = [torch.nn.Parameter(start.clone()) for start in starts]
        for parameter, gradient in zip(parameters, gradients, strict=True):
            parameter.grad = gradient
        betas = (HYPER.beta1, HYPER.beta2, HYPER.beta3)
        made = AdEMAMix(
            parameters, RATE, betas, HYPER.alpha, HYPER.eps, HYPER.weight_decay, backend=self.backend, state_dtype=self.states
        )
        return made, parameters

    @cached_property
    def timed(self) -> Any:
        """The optimizer whose steps are timed. Its learning rate is small, so that nothing overflows in many steps."""
        made, _ = self.optimizer(*self.drawn(2))
        for group in made.param_groups:
            group["lr"] = 1e-4
        return made

    def run(self, change: Change) -> Callable[[], Any]:
        def run() -> None:
            with self.shaped(change):
                self.timed.step()

        return run

    def verify(self, change: Change) -> Iterator[Comparison]:
        """Every element is moved by each of two steps, and blocks of every tensor are the reference's.

        A step whose moments were not stored makes another second step.
        """
        import torch

        starts, *gradients = self.drawn(1 + STEPS)
        optimizer, parameters = self.optimizer(starts, gradients[0])
        places = [blocks_of(len(start), self.tensors) for start in starts]
        found, before = [], [start.clone() for start in starts]
        for step in range(STEPS):
            for parameter, gradient in zip(parameters, gradients[step], strict=True):
                parameter.grad = gradient
            with self.shaped(change):
                optimizer.step()
            now = [parameter.detach() for parameter in parameters]
            still = sum(int((new == old).sum()) for new, old in zip(now, before, strict=True))
            yield equal(f"parameters that step {step + 1} left where they were", still, 0)
            infinite = sum(int((~torch.isfinite(new)).sum()) for new in now)
            yield equal(f"parameters that are not finite after step {step + 1}", infinite, 0)
            before = [new.clone() for new in now]
            found.append(picked(now, places))
        run = bounded_trajectory(
            picked(starts, places), [picked(each, places) for each in gradients], [RATE] * STEPS, HYPER, self.dtype,
            numerical_class(CLASSES[self.states]),
        )  # fmt: skip
        for step, snapshot in enumerate(run):
            yield compare(f"parameters after step {step + 1}", found[step], snapshot.theta, snapshot.theta_bound)


def blocks_of(size: int, tensors: int) -> npt.NDArray[np.intp]:
    """Places of whole blocks of one tensor at random, its last whole one among them: 8-bit moments depend on their block."""
    blocks = max(1, size // BLOCK)
    many = max(1, MOST_BLOCKS // tensors)
    chosen = one_in_each(blocks, max(1, blocks // many), generator())
    places: npt.NDArray[np.intp] = (chosen[:, None] * BLOCK + np.arange(BLOCK)).ravel()
    return places[places < size]


def picked(tensors: Sequence[Any], places: Sequence[npt.NDArray[np.intp]]) -> npt.NDArray[np.float64]:
    import torch

    parts = [x[torch.from_numpy(at).to(x.device)].double().cpu().numpy() for x, at in zip(tensors, places, strict=True)]
    return np.concatenate(parts)


def shape_jobs(device: str, rehearse: bool) -> Iterator[ShapeJob]:
    """All jobs, the most important first; of a rehearsal the Triton kernel's alone, small."""
    for states, dtype in KINDS:
        for name, tensors in LISTS.items():
            for backend in SHAPES:
                if not rehearse:
                    yield ShapeJob(backend, states, dtype, name, tensors, COUNT, device)
                elif backend == "triton" and name == "one":
                    yield ShapeJob(backend, states, dtype, name, 1, REHEARSED_COUNT, device, most=1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Tune on the CUDA device; 1 where there is none."""
    parser = argparse.ArgumentParser(prog="python -m tools.ademamix_tuning", description=(__doc__ or "").partition("\n")[0])
    tuning.add_options(parser)
    return tuning.run_as_program("tools.ademamix_tuning", shape_jobs, parser.parse_args(arguments))


if __name__ == "__main__":
    sys.exit(main())
