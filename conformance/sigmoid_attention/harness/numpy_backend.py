"""Call a function, and its ``backward`` where it has one, on NumPy arrays that lie between poisoned memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from conformance.sigmoid_attention.harness.arguments import AttentionArguments
from conformance.sigmoid_attention.harness.function_subject import FunctionSubject, GuardedInputs, out_of_memory
from conformance.sigmoid_attention.harness.problem import Array, AttentionLoad, AttentionProblem, AttentionResult, place
from conformance.sigmoid_attention.harness.timed_work import TimedWork
from impls.implementation import Unsupported


class NumpySubject(FunctionSubject):
    """``function(q, k, v, **options)`` and, for gradients, ``function.backward(q, k, v, grad, **options)`` -> dict."""

    def __init__(self, function: Any, numerical_class: str = "", settings: dict[str, Any] | None = None) -> None:
        self._names = (settings or {}).get("names")
        super().__init__(function, numerical_class, self._names)
        self._backward: Any = getattr(function, "backward", None)
        self._backward_arguments = AttentionArguments(self._backward, self._names) if self._backward is not None else None

    def _forward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        guarded = _NumpyInputs(problem, ("q", "k", "v"))
        out = self._call(problem, guarded)
        before_reading()
        return AttentionResult(_image(out), _dtype_name(out, problem), mutated=guarded.mutated())

    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        """Each by its own call: NumPy records nothing between them."""
        if self._backward_arguments is None:
            raise Unsupported("has no 'backward' beside it")
        guarded = _NumpyInputs(problem, ("q", "k", "v", "grad"))
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

    def _call(self, problem: AttentionProblem, guarded: _NumpyInputs, backward: AttentionArguments | None = None) -> Any:
        arguments = backward or self._arguments
        options = guarded.options({**vars(problem.options)})
        if problem.dtype == "bfloat16":
            if not arguments.accepts("storage"):
                raise Unsupported("NumPy has no bfloat16, and it does not accept storage='bfloat16'")
            options["storage"] = "bfloat16"
        views = [guarded.views[name] for name in ("q", "k", "v")]
        if backward is None:
            return self._function(*views, **arguments.keywords(options))
        return self._backward(*views, guarded.views["grad"], **arguments.keywords(options))


class NumpyWork(TimedWork):
    """See `TimedWork`. Without a ``function`` it only draws the inputs."""

    def __init__(self, function: Any, names: Any, load: AttentionLoad) -> None:
        super().__init__(watched=True)
        if load.dtype == "bfloat16":
            raise Unsupported("NumPy has no bfloat16 to be timed in")
        if load.alone:
            raise Unsupported("records nothing in its forward pass, and so has no backward pass to be timed alone")
        if load.backward and function and not hasattr(function, "backward"):
            raise Unsupported("has no 'backward' beside it")
        self._function, self._load = function, load
        self._keywords = AttentionArguments(function, names).keywords(vars(load.options)) if function else {}
        wanted = ("q", "k", "v", "grad") if load.backward else ("q", "k", "v")
        self._inputs = {name: np.empty(load.shape, load.dtype) for name in wanted}
        self.renew(0)

    def renew(self, seed: int) -> None:
        rng = np.random.default_rng(seed)
        for values in self._inputs.values():
            values[...] = rng.standard_normal(self._load.shape, dtype=np.float32)

    def turn(self, signs: Array) -> None:
        self._inputs["k"] *= signs.astype(self._inputs["k"].dtype)

    def run(self) -> dict[str, Any]:
        q, k, v = (self._inputs[name] for name in ("q", "k", "v"))
        results = {"output": self._function(q, k, v, **self._keywords)}
        if self._load.backward:
            found = self._function.backward(q, k, v, self._inputs["grad"], **self._keywords)
            results.update({f"d{name}": found[name] for name in ("q", "k", "v")})
        return results

    def glance(self, results: dict[str, Any], largest: bool) -> dict[str, Array]:
        for name, x in results.items():
            if type(x) is not np.ndarray:
                raise Unsupported(f"its {name} is a {type(x).__name__}; only plain arrays are timed, whose work is done")
        return {name: x.max(-1) if largest else x[..., 0].copy() for name, x in results.items()}

    def of_head(self, arrays: dict[str, Any], batch: int, head: int) -> dict[str, Array]:
        return {name: _image(x[batch, head]) for name, x in arrays.items()}


class _NumpyInputs(GuardedInputs):
    def __init__(self, problem: AttentionProblem, names: tuple[str, ...]) -> None:
        super().__init__()
        self._wide = np.float64 if problem.dtype == "float64" else np.float32
        dtype = np.dtype(np.float16 if problem.dtype == "float16" else self._wide)
        for name in names:
            values = getattr(problem, name)
            where = place(values.shape, problem.layout_of(name))
            try:
                buffer = np.empty(where.size, dtype) if where.sparse else np.full(where.size, np.nan, dtype)
            except MemoryError as error:
                raise out_of_memory(where.size, dtype.itemsize, error) from error
            bytes_apart = tuple(stride * dtype.itemsize for stride in where.strides)
            view = np.lib.stride_tricks.as_strided(buffer[where.offset :], values.shape, bytes_apart)
            view[...] = values
            self.views[name] = view
            self.watch(name, view if where.sparse else buffer)

    def array(self, values: Any, *, whole: bool) -> Any:
        return np.array(values) if whole else values.astype(self._wide)

    def copy(self, array: Any) -> Any:
        return array.copy()

    def same_bits(self, now: Any, before: Any) -> bool:
        same: bool = now.tobytes() == before.tobytes()  # bytes, because NaN differs from itself
        return same


def _dtype_name(x: Any, problem: AttentionProblem) -> str:
    name = np.asarray(x).dtype.name
    return "bfloat16" if problem.dtype == "bfloat16" and name == "float32" else name


def _image(x: Any) -> Array:
    return np.asarray(x, dtype=np.float64)
