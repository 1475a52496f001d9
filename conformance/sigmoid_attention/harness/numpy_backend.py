"""Call a function, and its ``backward`` where it has one, on NumPy arrays that lie between poisoned memory."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from conformance.sigmoid_attention.harness.arguments import AttentionArguments
from conformance.sigmoid_attention.harness.function_subject import (
    FunctionSubject,
    GuardedInputs,
    changed_arguments,
    out_of_memory,
)
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
        out = self._called(self._own(problem, guarded))
        before_reading()
        return self._result(problem, guarded, out, None)

    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult:
        """Each by its own call: NumPy records nothing between them."""
        guarded = _NumpyInputs(problem, ("q", "k", "v", "grad"))
        own = self._own(problem, guarded)
        out = self._called(own)
        before_reading()
        gradients = self._called(own, backward=True)
        before_reading()
        return self._result(problem, guarded, out, gradients)

    def repeated(
        self, problem: AttentionProblem, other: AttentionProblem, way: str, backward: bool
    ) -> tuple[AttentionResult, AttentionResult]:
        guarded = _NumpyInputs(problem, ("q", "k", "v", "grad"))
        own = self._own(problem, guarded)

        def solve(whose: AttentionProblem, given: dict[str, Any], before_backward: Callable[[], Any]) -> AttentionResult:
            if way == "viewed again":
                given = {name: x.view() if isinstance(x, np.ndarray) else x for name, x in given.items()}
            out = self._called(given)
            before_backward()
            return self._result(whose, guarded, out, self._called(given, backward=True) if backward else None)

        def solve_other() -> AttentionResult:
            with _as_in(other, problem, own, way) as given:
                return solve(other, given, lambda: None)

        return solve_other(), solve(problem, own, solve_other)

    def _result(self, problem: AttentionProblem, guarded: _NumpyInputs, out: Any, gradients: Any) -> AttentionResult:
        wanted = () if gradients is None else (*problem.differentiated, *problem.wanted)
        for name in wanted:
            if name not in gradients:
                raise Unsupported(f"returns no gradient of {name}")
        return AttentionResult(
            _image(out),
            _dtype_name(out, problem),
            {name: _image(gradients[name]) for name in wanted},
            {name: _dtype_name(gradients[name], problem) for name in problem.differentiated if name in wanted},
            guarded.mutated(),
        )

    def timed(self, load: AttentionLoad) -> NumpyWork:
        """The load made ready to be run over and over."""
        return NumpyWork(self._function, self._names, load)

    def _own(self, problem: AttentionProblem, guarded: _NumpyInputs) -> dict[str, Any]:
        """The arguments of a problem by our names."""
        storage = {"storage": "bfloat16"} if problem.dtype == "bfloat16" else {}
        return {**guarded.views, **guarded.options({**vars(problem.options)}), **storage}

    def _called(self, given: dict[str, Any], *, backward: bool = False) -> Any:
        arguments = self._backward_arguments if backward else self._arguments
        if arguments is None:
            raise Unsupported("has no 'backward' beside it")
        if "storage" in given and not arguments.accepts("storage"):
            raise Unsupported("NumPy has no bfloat16, and it does not accept storage='bfloat16'")
        q, k, v = (given[name] for name in ("q", "k", "v"))
        options = arguments.keywords({name: x for name, x in given.items() if name not in ("q", "k", "v", "grad")})
        return self._backward(q, k, v, given["grad"], **options) if backward else self._function(q, k, v, **options)


@contextlib.contextmanager
def _as_in(other: AttentionProblem, problem: AttentionProblem, own: Mapping[str, Any], way: str) -> Iterator[dict[str, Any]]:
    """The arguments of another problem, in this one's arrays where they fit, which have their own values afterwards."""
    kept: list[tuple[Any, Any]] = []

    def make(name: str, value: Any) -> Any:
        mine = own[name]
        if not isinstance(mine, np.ndarray):
            return value
        new = np.asarray(value).astype(mine.dtype)
        if way == "same arrays" or new.shape != mine.shape:
            return new
        kept.append((mine, mine.copy()))
        mine[...] = new
        return mine

    try:
        yield changed_arguments(problem, other, own, make)
    finally:
        for mine, before in kept:
            mine[...] = before


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

    def shown(self, looked: dict[str, Any]) -> dict[str, Array]:
        return looked

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
