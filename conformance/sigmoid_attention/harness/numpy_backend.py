"""Calls a function on NumPy arrays that lie between poisoned memory; a ``backward`` beside it, where there is one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.sigmoid_attention.harness.arguments import Arguments
from conformance.sigmoid_attention.harness.problem import Array, AttentionLoad, AttentionProblem, AttentionResult, place
from impls.implementation import NotRun, Unsupported


class NumpySubject:
    """``function(q, k, v, **options)`` and, for gradients, ``function.backward(q, k, v, grad, **options)`` -> dict."""

    def __init__(self, function: Any, numerical_class: str = "", settings: dict[str, Any] | None = None) -> None:
        self.numerical_class = numerical_class
        self._names = (settings or {}).get("names")
        self._function, self._arguments = function, Arguments(function, self._names)
        self._backward: Any = getattr(function, "backward", None)
        self._backward_arguments = Arguments(self._backward, self._names) if self._backward is not None else None

    def forward(self, problem: AttentionProblem) -> AttentionResult:
        """The output alone."""
        return self._forward(problem, _nothing)

    def forward_backward(self, problem: AttentionProblem) -> AttentionResult:
        """Output and gradients, each by its own call: NumPy records nothing between them."""
        return self._forward_backward(problem, _nothing)

    def interrupted(self, problem: AttentionProblem, other: AttentionProblem, backward: bool) -> AttentionResult:
        """As the two above, with the other problem solved before the backward pass begins and before anything is read."""
        if backward:
            return self._forward_backward(problem, lambda: self.forward_backward(other))
        return self._forward(problem, lambda: self.forward(other))

    def _forward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded = _Guarded(problem, ("q", "k", "v"))
        out = self._call(problem, guarded)
        before_reading()
        return AttentionResult(_image(out), _dtype_name(out, problem), mutated=guarded.mutated())

    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        if self._backward_arguments is None:
            raise Unsupported("has no 'backward' beside it")
        guarded = _Guarded(problem, ("q", "k", "v", "grad"))
        out = self._call(problem, guarded)
        before_reading()
        gradients = self._call(problem, guarded, self._backward_arguments)
        before_reading()
        wanted = (*problem.differentiated, *problem.wanted)
        for name in wanted:
            if name not in gradients:
                raise Unsupported(f"returns no gradient of {name}")
        return AttentionResult(
            _image(out),
            _dtype_name(out, problem),
            {name: _image(gradients[name]) for name in wanted},
            {name: _dtype_name(gradients[name], problem) for name in problem.differentiated},
            guarded.mutated(),
        )

    def timed(self, load: AttentionLoad) -> NumpyWork:
        """The load made ready to be run over and over."""
        return NumpyWork(self._function, self._names, load)

    def _call(self, problem: AttentionProblem, guarded: _Guarded, backward: Arguments | None = None) -> Any:
        arguments = backward or self._arguments
        options = problem.options()
        if options["alibi_slopes"] is not None:
            options["alibi_slopes"] = options["alibi_slopes"].astype(_numpy_dtype(problem.dtype, narrow=False))
            guarded.watch("alibi_slopes", options["alibi_slopes"])
        if options["key_lengths"] is not None:
            options["key_lengths"] = np.array(options["key_lengths"])
            guarded.watch("key_lengths", options["key_lengths"])
        for name in ("cu_seqlens_q", "cu_seqlens_k"):
            if options[name] is not None:
                options[name] = np.array(options[name])
                guarded.watch(name, options[name])
        if problem.dtype == "bfloat16":
            if not arguments.accepts("storage"):
                raise Unsupported("NumPy has no bfloat16, and it does not accept storage='bfloat16'")
            options["storage"] = "bfloat16"
        views = [guarded.views[name] for name in ("q", "k", "v")]
        if backward is None:
            return self._function(*views, **arguments.keywords(options))
        return self._backward(*views, guarded.views["grad"], **arguments.keywords(options))


class NumpyWork:
    """``run`` computes on the arrays at hand; ``renew`` draws others in their place; ``head`` shows one head of it all."""

    def __init__(self, function: Any, names: Any, load: AttentionLoad) -> None:
        if load.dtype == "bfloat16":
            raise Unsupported("NumPy has no bfloat16 to be timed in")
        if load.alone:
            raise Unsupported("records nothing in its forward pass, and so has no backward pass to be timed alone")
        if load.backward and not hasattr(function, "backward"):
            raise Unsupported("has no 'backward' beside it")
        self._function, self._load = function, load
        self._keywords = Arguments(function, names).keywords(load.options())
        wanted = ("q", "k", "v", "grad") if load.backward else ("q", "k", "v")
        self._inputs = {name: np.empty(load.shape, load.dtype) for name in wanted}
        self.renew(0)

    def renew(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for values in self._inputs.values():
            values[...] = rng.standard_normal(self._load.shape, dtype=np.float32)

    def run(self) -> dict[str, Any]:
        q, k, v = (self._inputs[name] for name in ("q", "k", "v"))
        results = {"output": self._function(q, k, v, **self._keywords)}
        if self._load.backward:
            found = self._function.backward(q, k, v, self._inputs["grad"], **self._keywords)
            results.update({f"d{name}": found[name] for name in ("q", "k", "v")})
        return results

    def head(self, results: dict[str, Any], batch: int, head: int) -> dict[str, Array]:
        return {name: _image(x[batch, head]) for name, x in {**self._inputs, **results}.items()}


class _Guarded:
    """Copies of a problem's arrays, each inside its own buffer of NaN."""

    def __init__(self, problem: AttentionProblem, names: tuple[str, ...]) -> None:
        self.views: dict[str, Any] = {}
        self._buffers: dict[str, tuple[Any, Any]] = {}
        dtype = _numpy_dtype(problem.dtype)
        for name in names:
            values = getattr(problem, name)
            where = place(values.shape, problem.layout_of(name))
            buffer = _reserve(where.size, dtype) if where.sparse else np.full(where.size, np.nan, dtype)
            bytes_apart = tuple(stride * buffer.itemsize for stride in where.strides)
            view = np.lib.stride_tricks.as_strided(buffer[where.offset :], values.shape, bytes_apart)
            view[...] = values
            self.views[name] = view
            watched = view if where.sparse else buffer
            self._buffers[name] = (watched, watched.copy())

    def watch(self, name: str, array: Any) -> None:
        """Notice when an option's array, around which there is no poison, is written to."""
        self._buffers[name] = (array, array.copy())

    def mutated(self) -> tuple[str, ...]:
        return tuple(
            name for name, (now, before) in self._buffers.items() if now.tobytes() != before.tobytes()
        )  # bytes, because NaN differs from itself


def _reserve(size: int, dtype: Any) -> Any:
    try:
        return np.empty(size, dtype)
    except MemoryError as error:
        raise NotRun(f"needs {size * np.dtype(dtype).itemsize / 2**30:.0f} GiB of address space for one input") from error


def _nothing() -> None:
    """What stands between a call and the reading of its results, as a rule."""


def _numpy_dtype(dtype: str, narrow: bool = True) -> Any:
    if dtype == "float64":
        return np.float64
    return np.float16 if dtype == "float16" and narrow else np.float32


def _dtype_name(x: Any, problem: AttentionProblem) -> str:
    name = np.asarray(x).dtype.name
    return "bfloat16" if problem.dtype == "bfloat16" and name == "float32" else name


def _image(x: Any) -> Array:
    return np.asarray(x, dtype=np.float64)
