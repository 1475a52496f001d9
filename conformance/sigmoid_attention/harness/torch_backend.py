"""Call a function on torch tensors that lie between poisoned memory; gradients come through autograd."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from conformance.engine.executed_ptx import executing, torch_device
from conformance.sigmoid_attention.harness import torch_contexts
from conformance.sigmoid_attention.harness.function_subject import (
    FunctionSubject,
    GuardedInputs,
    changed_arguments,
    out_of_memory,
)
from conformance.sigmoid_attention.harness.problem import (
    ONE_TENSOR,
    Array,
    AttentionLoad,
    AttentionProblem,
    AttentionResult,
    place,
)
from conformance.sigmoid_attention.harness.timed_work import TimedWork
from impls.implementation import NotRun, Unsupported
from impls.triton_support import choose_interpreter

# Before any implementation is imported, since any may import triton.
choose_interpreter()

TENSOR_LAYOUTS = ("BHND", "BNHD")
_SWAPPED = {"one head": "one row", "one row": "one head"}
"""Layouts that name a dimension, and what they are where length and heads have changed places."""


class TorchSubject(FunctionSubject):
    """``function(q, k, v, **options)`` on tensors in the layout of torch's scaled_dot_product_attention."""

    def __init__(self, function: Callable[..., Any], device: str, numerical_class: str, settings: dict[str, Any]) -> None:
        super().__init__(function, numerical_class, settings.get("names"))
        self._named, self._device = device, torch_device(device)
        self._constant = dict(settings.get("arguments", {}))
        self._dtypes = settings.get("cpu_dtypes") if device == "cpu" else None
        layout = settings.get("layout", "BHND")
        if layout not in TENSOR_LAYOUTS:
            raise ValueError(f"layout {layout!r}, expected one of {', '.join(TENSOR_LAYOUTS)}")
        self._swapped = layout == "BNHD"
        self._always_causal = settings.get("causal") == "always"
        if settings.get("result") == "first":
            self._function = _first_of(function)

    def _forward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded = _TorchInputs(problem, ("q", "k", "v"), self._device, self._swapped)
        with torch.no_grad(), poisoned_allocations():
            out = self._call(problem, guarded, {})
        before_reading()
        image, dtype = self._image(out), _dtype_name(out)
        del out  # before the inputs are looked at: something may be done to them when it is let go
        return AttentionResult(image, dtype, mutated=guarded.mutated())

    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded, leaves = self._leaves(problem)
        with torch.enable_grad(), poisoned_allocations():
            out = self._call(problem, guarded, leaves)
            if not out.requires_grad:
                raise Unsupported("forward only: its output carries no gradient")
            before_reading()
            found = torch.autograd.grad(out, list(leaves.values()), guarded.views["grad"], allow_unused=True)
            before_reading()
        return self._result(problem, guarded, out, dict(zip(leaves, found, strict=True)))

    def repeated(
        self, problem: AttentionProblem, other: AttentionProblem, way: str, backward: bool
    ) -> tuple[AttentionResult, AttentionResult]:
        if backward:
            guarded, leaves = self._leaves(problem)
        else:  # what is kept for inference may be kept where nothing asks for a gradient
            guarded, leaves = _TorchInputs(problem, ("q", "k", "v"), self._device, self._swapped), {}
        own = {**guarded.views, **self._options(problem, guarded, leaves)}

        def solve(whose: AttentionProblem, given: dict[str, Any], before_backward: Callable[[], Any]) -> AttentionResult:
            asked = {name: given[name] for name in leaves}
            if way == "viewed again":
                given = {name: x.view_as(x) if torch.is_tensor(x) else x for name, x in given.items()}
            options = {name: x for name, x in given.items() if name not in guarded.views}
            out = self._output(given["q"], given["k"], given["v"], self._keywords(options))
            if asked and not out.requires_grad:
                raise Unsupported("forward only: its output carries no gradient")
            before_backward()
            found = torch.autograd.grad(out, list(asked.values()), given["grad"], allow_unused=True) if asked else ()
            return self._result(whose, guarded, out, dict(zip(asked, found, strict=True)))

        def solve_other() -> AttentionResult:
            with self._as_in(other, problem, own, way) as given:
                return solve(other, given, lambda: None)

        with torch.set_grad_enabled(backward), poisoned_allocations():
            first = solve_other()
            # What is changed in place is not what a backward pass that is still to come may find.
            return first, solve(problem, own, solve_other if way == "same arrays" else lambda: None)

    @contextlib.contextmanager
    def _as_in(
        self, other: AttentionProblem, problem: AttentionProblem, own: Mapping[str, Any], way: str
    ) -> Iterator[dict[str, Any]]:
        """The arguments of another problem, in this one's arrays where they fit, which have their own values afterwards."""
        kept: list[tuple[torch.Tensor, torch.Tensor]] = []

        def make(name: str, value: Any) -> Any:
            mine = own[name]
            if not torch.is_tensor(mine):
                return value
            new = torch.as_tensor(value).to(mine)
            if name in ("q", "k", "v", "grad") and self._swapped:
                new = new.transpose(1, 2)
            if way == "same arrays" or new.shape != mine.shape:
                return new.contiguous().requires_grad_(mine.requires_grad)
            kept.append((mine, mine.detach().clone()))
            with torch.no_grad():
                mine.copy_(new)
            return mine

        try:
            yield changed_arguments(problem, other, own, make)
        finally:
            with torch.no_grad():
                for mine, before in kept:
                    mine.copy_(before)

    def in_context(self, context: str, problem: AttentionProblem, backward: bool) -> AttentionResult:
        """The same in one of the contexts of torch_contexts.py. Of one tensor for several the gradient is the first's."""
        guarded, leaves = self._leaves(problem)
        first, *others = ONE_TENSOR.get(context, ("",))
        inputs = tuple(guarded.views[first if name in others else name] for name in ("q", "k", "v"))
        attend = self._attend(problem, guarded, leaves)
        grad = guarded.views["grad"] if backward else None
        asked = {name: leaf for name, leaf in leaves.items() if name not in others}
        with poisoned_allocations():
            out, found = torch_contexts.outcome_in(context, attend, inputs, list(asked.values()), grad)
        return self._result(problem, guarded, out, dict(zip(asked, found, strict=False)))

    def tangent(self, problem: AttentionProblem, direction: Array) -> Array:
        """The output's derivative along a direction of q, by forward mode. Unsupported where it is refused."""
        guarded = _TorchInputs(problem, ("q", "k", "v"), self._device, self._swapped)
        inputs = guarded.views["q"], guarded.views["k"], guarded.views["v"]
        return self._image(
            torch_contexts.tangent(self._attend(problem, guarded, {}), inputs, self._like(inputs[0], direction))
        )

    def second_derivatives(self, problem: AttentionProblem, direction: Array) -> dict[str, Array]:
        """Gradients of ``sum(dQ * direction)`` with respect to q, k, v and grad. Unsupported where they are refused."""
        guarded = _TorchInputs(problem, ("q", "k", "v", "grad"), self._device, self._swapped)
        inputs = guarded.views["q"], guarded.views["k"], guarded.views["v"]
        along = self._like(inputs[0], direction)
        attend = self._attend(problem, guarded, {})
        found = torch_contexts.second_derivatives(attend, inputs, guarded.views["grad"], along)
        return {name: self._image(x) for name, x in found.items()}

    def _like(self, x: torch.Tensor, values: Array) -> torch.Tensor:
        return torch.from_numpy(np.ascontiguousarray(values.swapaxes(1, 2) if self._swapped else values)).to(x)

    def _leaves(self, problem: AttentionProblem) -> tuple[_TorchInputs, dict[str, torch.Tensor]]:
        """The inputs, and those of them and of the options whose gradients are asked for."""
        guarded = _TorchInputs(problem, ("q", "k", "v", "grad"), self._device, self._swapped)
        leaves = {name: guarded.views[name].requires_grad_() for name in problem.differentiated}
        for name in problem.wanted:
            if not self._arguments.accepts(name):
                raise Unsupported(f"does not accept {name}")
            leaves[name] = guarded.array(getattr(problem.options, name), whole=False).requires_grad_()
        return guarded, leaves

    def _result(
        self, problem: AttentionProblem, guarded: _TorchInputs, out: torch.Tensor, gradients: dict[str, torch.Tensor | None]
    ) -> AttentionResult:
        found = {name: x for name, x in gradients.items() if x is not None}
        for name in gradients.keys() - found.keys():
            if name in ("q", "k", "v"):
                raise AssertionError(f"its output carries a gradient, and none reaches {name}")
            raise Unsupported(f"no gradient reaches {name}")
        return AttentionResult(
            self._image(out),
            _dtype_name(out),
            {name: self._image(x) if name in ("q", "k", "v") else _numbers(x) for name, x in found.items()},
            {name: _dtype_name(found[name]) for name in problem.differentiated if name in found},
            guarded.mutated(),
        )

    def timed(self, load: AttentionLoad) -> TorchWork:
        """The load made ready to be run over and over."""
        options = vars(load.options)
        for name in ("cu_seqlens_q", "cu_seqlens_k") if load.lengths else ():
            options = {**options, name: torch.tensor(options[name], dtype=torch.int32, device=self._device)}
        keywords = self._keywords(options)
        return TorchWork(self._function, keywords, self._device, self._swapped, load)

    def _call(self, problem: AttentionProblem, guarded: _TorchInputs, leaves: dict[str, torch.Tensor]) -> torch.Tensor:
        return self._attend(problem, guarded, leaves)(*(guarded.views[name] for name in ("q", "k", "v")))

    def _attend(
        self, problem: AttentionProblem, guarded: _TorchInputs, leaves: dict[str, torch.Tensor]
    ) -> Callable[[torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]:
        """The function of q, k and v alone, with the problem's options."""
        keywords = self._keywords(self._options(problem, guarded, leaves))
        return lambda q, k, v: self._output(q, k, v, keywords)

    def _options(self, problem: AttentionProblem, guarded: _TorchInputs, leaves: dict[str, torch.Tensor]) -> dict[str, Any]:
        """The problem's options by our names, with tensors for arrays."""
        if self._dtypes is not None and problem.dtype not in self._dtypes:
            raise NotRun(f"on a CPU it computes in {', '.join(self._dtypes)} whatever the dtype, and is tested in that alone")
        return guarded.options({**vars(problem.options), **{name: leaves[name] for name in problem.wanted if leaves}})

    def _output(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, keywords: dict[str, Any]) -> torch.Tensor:
        """What the function returns, which has to be one tensor."""
        with executing(self._named):
            out = self._called(q, k, v, keywords)
        if not torch.is_tensor(out):
            raise TypeError(f"returned {type(out).__name__}, expected one torch.Tensor: the output")
        if out.is_meta:  # reading it would raise NotImplementedError, as a gap does
            raise TypeError("returned a tensor without data (device meta), expected the output")
        return out

    def _called(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, keywords: dict[str, Any]) -> Any:
        """What it returns. A function of ``**kwargs`` may refuse an option: that is a gap, and a bias of 0 is left out."""
        try:
            return self._function(q, k, v, **keywords)
        except TypeError as error:
            refused = self._arguments.refused(keywords, error)
            if refused is None:
                raise
            value = keywords[refused]
            if refused == "bias" and isinstance(value, int | float) and value == 0:
                return self._called(q, k, v, {name: x for name, x in keywords.items() if name != refused})
            raise Unsupported(f"does not accept {refused}") from error

    def _keywords(self, options: dict[str, Any]) -> dict[str, Any]:
        if self._always_causal:
            if not options["causal"]:
                raise Unsupported("always masks causally")
            options = {**options, "causal": False}
        return {**self._constant, **self._arguments.keywords(options)}

    def _image(self, x: torch.Tensor) -> Array:
        return _numbers(x.transpose(1, 2) if self._swapped and x.ndim == 4 else x)


class TorchWork(TimedWork):
    """See `TimedWork`. Without a ``function`` it only draws the inputs."""

    def __init__(self, function: Any, keywords: dict[str, Any], device: str, swapped: bool, load: AttentionLoad) -> None:
        super().__init__(watched=device == "cpu")
        self._function, self._keywords, self._load, self._swapped = function, keywords, load, swapped
        shapes = {"q": load.shape, "k": load.key_shape, "v": load.key_shape, "grad": load.shape}
        if swapped:
            shapes = {name: (batch, length, heads, dim) for name, (batch, heads, length, dim) in shapes.items()}
        names = ("q", "k", "v", "grad") if load.backward else ("q", "k", "v")
        dtype = getattr(torch, load.dtype)
        self._inputs = {
            name: torch.empty(shapes[name], dtype=dtype, device=device).requires_grad_(load.backward and name != "grad")
            for name in names
        }
        self._generator = torch.Generator(device=device)
        self.renew(0)

    def renew(self, seed: int) -> None:
        self._generator.manual_seed(seed)
        with torch.no_grad():
            for values in self._inputs.values():
                values.normal_(generator=self._generator)
        self._output = self._attend() if self._load.alone and self._function else None

    def turn(self, signs: Any) -> None:
        with torch.no_grad():
            self._inputs["k"].mul_(self.received(signs))

    def received(self, told: Any) -> torch.Tensor | None:
        return None if told is None else torch.as_tensor(told).to(self._inputs["k"])

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

    def glance(self, results: dict[str, Any], largest: bool) -> dict[str, Any]:
        for name, x in results.items():
            if type(x) is not torch.Tensor:
                raise Unsupported(f"its {name} is a {type(x).__name__}; only plain tensors are timed, whose work is done")
        with torch.no_grad():
            return {name: x.amax(-1) if largest else x.select(-1, 0).clone() for name, x in results.items()}

    def shown(self, looked: dict[str, Any]) -> dict[str, Array]:
        turned = {name: x.transpose(1, 2) if self._swapped else x for name, x in looked.items()}
        return {name: x.detach().float().cpu().numpy() for name, x in turned.items()}

    def of_head(self, arrays: dict[str, Any], batch: int, head: int) -> dict[str, Array]:
        def part(x: torch.Tensor) -> torch.Tensor:
            # Of fewer heads of keys: the one that this head shares.
            own = head * x.shape[2 if self._swapped else 1] // self._load.heads
            return x[batch, :, own] if self._swapped else x[batch, own]

        return {name: _numbers(part(x)) for name, x in arrays.items()}


class _TorchInputs(GuardedInputs):
    def __init__(self, problem: AttentionProblem, names: tuple[str, ...], device: str, swapped: bool) -> None:
        super().__init__()
        self._device = device
        self._wide = torch.float64 if problem.dtype == "float64" else torch.float32
        dtype = getattr(torch, problem.dtype)
        for name in names:
            values = getattr(problem, name)
            values = values.swapaxes(1, 2) if swapped else values
            layout = problem.layout_of(name)
            where = place(values.shape, _SWAPPED.get(layout, layout) if swapped else layout)
            try:
                buffer = torch.empty((where.size,), dtype=dtype, device=device)
            except (RuntimeError, MemoryError) as error:
                raise out_of_memory(where.size, dtype.itemsize, error) from error
            if not where.sparse:
                buffer.fill_(torch.nan)
            view = buffer.as_strided(values.shape, where.strides, where.offset)
            # What one place in memory holds for many is written once.
            own = tuple(slice(0, 1) if stride == 0 else slice(None) for stride in where.strides)
            view[own].copy_(torch.from_numpy(np.ascontiguousarray(values[own])))
            self.views[name] = view
            self.watch(name, view if where.sparse else buffer)

    def array(self, values: Any, *, whole: bool) -> torch.Tensor:
        if torch.is_tensor(values):
            return values
        return torch.tensor(values, dtype=torch.int32 if whole else self._wide, device=self._device)

    def copy(self, array: torch.Tensor) -> torch.Tensor:
        return array.detach().clone()

    def same_bits(self, now: torch.Tensor, before: torch.Tensor) -> bool:
        # NaN differs from itself.
        return torch.equal(now.detach().contiguous().view(torch.uint8), before.contiguous().view(torch.uint8))


def _first_of(function: Callable[..., Any]) -> Callable[..., Any]:
    def first(*arguments: Any, **keywords: Any) -> Any:
        found = function(*arguments, **keywords)
        return found[0] if isinstance(found, tuple | list) and found else found

    return first


@contextlib.contextmanager
def poisoned_allocations() -> Iterator[None]:
    """Within, ``torch.empty`` is full of NaN, so that an element which is never written shows.

    Torch fills new memory where deterministic algorithms are asked for; asked for as a warning, nothing else changes but
    the order in which a few scatter operations add.
    """
    # By this function since `use_deterministic_algorithms` imports the compiler too, which takes longer than all of torch.
    before = torch.get_deterministic_debug_mode()
    filling = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    torch.set_deterministic_debug_mode("warn")
    torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
    try:
        yield
    finally:
        torch.utils.deterministic.fill_uninitialized_memory = filling  # type: ignore[attr-defined]
        torch.set_deterministic_debug_mode(before)


def _numbers(x: torch.Tensor) -> Array:
    return x.detach().to("cpu", torch.float64).numpy()


def _dtype_name(x: torch.Tensor) -> str:
    return str(x.dtype).removeprefix("torch.")
