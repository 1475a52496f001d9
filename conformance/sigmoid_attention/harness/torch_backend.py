"""Calls a function on torch tensors that lie between poisoned memory; gradients come through autograd."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from conformance.sigmoid_attention.harness.arguments import Arguments
from conformance.sigmoid_attention.harness.problem import Array, AttentionLoad, AttentionProblem, AttentionResult, place
from impls.implementation import NotRun, Unsupported
from impls.triton_support import choose_interpreter

# Before any implementation is imported, since any may import triton.
choose_interpreter()

TENSOR_LAYOUTS = ("BHND", "BNHD")


class TorchSubject:
    """``function(q, k, v, **options)`` on tensors in the layout of torch's scaled_dot_product_attention.

    Settings of the record: ``layout`` BHND (default) or BNHD; ``names``, how an option is called where its signature does
    not tell; ``arguments``, further keyword arguments, always given; ``cpu_dtypes``, those in which it is judged on a CPU,
    where it is not what it is on a CUDA device.
    """

    def __init__(self, function: Callable[..., Any], device: str, numerical_class: str, settings: dict[str, Any]) -> None:
        self.numerical_class = numerical_class
        self._function = function
        self._device = device
        self._arguments = Arguments(function, settings.get("names"))
        self._constant = dict(settings.get("arguments", {}))
        self._dtypes = settings.get("cpu_dtypes") if device == "cpu" else None
        layout = settings.get("layout", "BHND")
        if layout not in TENSOR_LAYOUTS:
            raise ValueError(f"layout {layout!r}, expected one of {', '.join(TENSOR_LAYOUTS)}")
        self._swapped = layout == "BNHD"

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """The output alone, with no gradient recorded."""
        return self._forward(problem, _nothing)

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        """Output and gradients."""
        return self._forward_backward(problem, _nothing)

    def interrupted(self, problem: AttentionProblem, other: AttentionProblem, backward: bool) -> AttentionResult:
        """As the two above, with the other problem solved before the backward pass begins and before anything is read."""
        if backward:
            return self._forward_backward(problem, lambda: self.forward_backward(other))
        return self._forward(problem, lambda: self.forward(other))

    def _forward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded = _Guarded(problem, ("q", "k", "v"), self._device, self._swapped)
        with torch.no_grad(), _poisoned_allocations():
            out = self._call(problem, guarded, problem.options())
        before_reading()
        return AttentionResult(self._image(out), _dtype_name(out), mutated=guarded.mutated())

    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded = _Guarded(problem, ("q", "k", "v", "grad"), self._device, self._swapped)
        leaves = {name: guarded.views[name].requires_grad_() for name in problem.differentiated}
        options = problem.options()
        for name in problem.wanted:
            if not self._arguments.accepts(name):
                raise Unsupported(f"does not accept {name}")
            leaves[name] = torch.tensor(options[name], dtype=self._wide(problem), device=self._device, requires_grad=True)
            options[name] = leaves[name]
        with torch.enable_grad(), _poisoned_allocations():
            out = self._call(problem, guarded, options)
            if not out.requires_grad:
                raise Unsupported("forward only: its output carries no gradient")
            before_reading()
            found = torch.autograd.grad(out, list(leaves.values()), guarded.views["grad"], allow_unused=True)
            before_reading()
        gradients = dict(zip(leaves, found, strict=True))
        for name, gradient in gradients.items():
            if gradient is None and name in ("q", "k", "v"):
                raise AssertionError(f"its output carries a gradient, and none reaches {name}")
            if gradient is None:
                raise Unsupported(f"no gradient reaches {name}")
        return AttentionResult(
            self._image(out),
            _dtype_name(out),
            {name: self._image(x) if name in ("q", "k", "v") else _numbers(x) for name, x in gradients.items()},
            {name: _dtype_name(gradients[name]) for name in problem.differentiated},
            guarded.mutated(),
        )

    def timed(self, load: AttentionLoad) -> TorchWork:
        """The load made ready to be run over and over."""
        return TorchWork(self._function, self._arguments, self._constant, self._device, self._swapped, load)

    def _call(self, problem: AttentionProblem, guarded: _Guarded, options: dict[str, Any]) -> Any:
        if self._dtypes is not None and problem.dtype not in self._dtypes:
            raise NotRun(f"on a CPU it computes in {', '.join(self._dtypes)} whatever the dtype, and is judged in that alone")
        if options["alibi_slopes"] is not None and not torch.is_tensor(options["alibi_slopes"]):
            options["alibi_slopes"] = torch.tensor(options["alibi_slopes"], dtype=self._wide(problem), device=self._device)
        if options["key_lengths"] is not None:
            options["key_lengths"] = torch.tensor(options["key_lengths"], dtype=torch.int32, device=self._device)
        for name in ("cu_seqlens_q", "cu_seqlens_k"):
            if options[name] is not None:
                options[name] = torch.tensor(options[name], dtype=torch.int32, device=self._device)
        keywords = {**self._constant, **self._arguments.keywords(options)}
        for name in ("alibi_slopes", "key_lengths", "cu_seqlens_q", "cu_seqlens_k"):
            if options[name] is not None:
                guarded.watch(name, options[name])
        out = self._function(*(guarded.views[name] for name in ("q", "k", "v")), **keywords)
        if not torch.is_tensor(out):
            raise TypeError(f"returned {type(out).__name__}, expected one torch.Tensor: the output")
        return out

    def _wide(self, problem: AttentionProblem) -> torch.dtype:
        return torch.float64 if problem.dtype == "float64" else torch.float32

    def _image(self, x: torch.Tensor) -> Array:
        return _numbers(x.transpose(1, 2) if self._swapped and x.ndim == 4 else x)


class TorchWork:
    """``run`` computes on the inputs at hand; ``renew`` draws others in their place; ``head`` shows one head of it all."""

    def __init__(
        self, function: Any, arguments: Arguments, constant: dict[str, Any], device: str, swapped: bool, load: AttentionLoad
    ) -> None:
        self._function, self._load, self._device, self._swapped = function, load, device, swapped
        self._keywords = {**constant, **arguments.keywords(load.options())}
        batch, heads, length, dim = load.shape
        self._shape = (batch, length, heads, dim) if swapped else load.shape
        names = ("q", "k", "v", "grad") if load.backward else ("q", "k", "v")
        dtype = getattr(torch, load.dtype)
        self._inputs = {
            name: torch.empty(self._shape, dtype=dtype, device=device).requires_grad_(load.backward and name != "grad")
            for name in names
        }
        self._generator = torch.Generator(device=device)
        self.renew(0)

    def renew(self, seed: int) -> None:
        self._generator.manual_seed(seed)
        with torch.no_grad():
            for values in self._inputs.values():
                values.normal_(generator=self._generator)
        self._output = self._attend() if self._load.alone else None

    def run(self) -> dict[str, Any]:
        if not self._load.backward:
            with torch.no_grad():
                return {"output": self._attend()}
        output = self._attend() if self._output is None else self._output
        leaves = [self._inputs[name] for name in ("q", "k", "v")]
        gradients = torch.autograd.grad(output, leaves, self._inputs["grad"], retain_graph=self._load.alone)
        return {"output": output, **dict(zip(("dq", "dk", "dv"), gradients, strict=True))}

    def _attend(self) -> Any:
        return self._function(*(self._inputs[name] for name in ("q", "k", "v")), **self._keywords)

    def head(self, results: dict[str, Any], batch: int, head: int) -> dict[str, Array]:
        where = (batch, slice(None), head) if self._swapped else (batch, head)
        return {name: _numbers(x[where]) for name, x in {**self._inputs, **results}.items()}


class _Guarded:
    """Copies of a problem's arrays, each inside its own buffer of NaN."""

    def __init__(self, problem: AttentionProblem, names: tuple[str, ...], device: str, swapped: bool) -> None:
        self.views: dict[str, torch.Tensor] = {}
        self._buffers: dict[str, tuple[torch.Tensor, torch.Tensor]] = {}
        dtype = getattr(torch, problem.dtype)
        for name in names:
            values = getattr(problem, name)
            values = values.swapaxes(1, 2) if swapped else values
            where = place(values.shape, problem.layout_of(name))
            buffer = (
                _reserve(where.size, dtype, device)
                if where.sparse
                else torch.full((where.size,), torch.nan, dtype=dtype, device=device)
            )
            view = buffer.as_strided(values.shape, where.strides, where.offset)
            if 0 in where.strides:
                buffer[where.offset] = float(values.flat[0])
            else:
                view.copy_(torch.from_numpy(np.ascontiguousarray(values)))
            self.views[name] = view
            watched = view if where.sparse else buffer
            self._buffers[name] = (watched, watched.detach().clone())

    def watch(self, name: str, tensor: torch.Tensor) -> None:
        """Notice when an option's tensor, around which there is no poison, is written to."""
        self._buffers[name] = (tensor, tensor.detach().clone())

    def mutated(self) -> tuple[str, ...]:
        return tuple(
            # Bits, because NaN differs from itself.
            name
            for name, (now, before) in self._buffers.items()
            if not torch.equal(now.detach().contiguous().view(torch.uint8), before.contiguous().view(torch.uint8))
        )


def _reserve(size: int, dtype: torch.dtype, device: str) -> torch.Tensor:
    try:
        return torch.empty((size,), dtype=dtype, device=device)
    except (RuntimeError, MemoryError) as error:
        raise NotRun(f"needs {size * dtype.itemsize / 2**30:.0f} GiB of address space for one input: {error}") from error


@contextlib.contextmanager
def _poisoned_allocations() -> Iterator[None]:
    """Within, ``torch.empty`` is full of NaN, so that an element which nobody writes shows.

    Torch fills new memory where deterministic algorithms are asked for; asked for as a warning, nothing else changes but
    the order in which a few scatter operations add.
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def _nothing() -> None:
    """What stands between a call and the reading of its results, as a rule."""


def _numbers(x: torch.Tensor) -> Array:
    return x.detach().to("cpu", torch.float64).numpy()


def _dtype_name(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
