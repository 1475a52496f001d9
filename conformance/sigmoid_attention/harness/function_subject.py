"""Run problems on a function of arrays: inputs between poisoned memory, and what was written to them (any array library)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from conformance.sigmoid_attention.harness.arguments import AttentionArguments
from conformance.sigmoid_attention.harness.problem import AttentionProblem, AttentionResult
from impls.implementation import NotRun


class FunctionSubject(ABC):
    """An `AttentionSubject` of ``function(q, k, v, **options)``."""

    def __init__(self, function: Any, numerical_class: str, names: dict[str, str] | None) -> None:
        self.numerical_class = numerical_class
        self._function = function
        self._arguments = AttentionArguments(function, names)

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

    @abstractmethod
    def repeated(
        self, problem: AttentionProblem, other: AttentionProblem, way: str, backward: bool
    ) -> tuple[AttentionResult, AttentionResult]:
        """The results of another problem and of this one after it, which share what is the same; ``way`` is of `REPEATED`."""

    @abstractmethod
    def _forward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult: ...

    @abstractmethod
    def _forward_backward(self, problem: AttentionProblem, before_reading: Callable[[], Any]) -> AttentionResult: ...


def argument_of(problem: AttentionProblem, name: str) -> Any:
    """One of q, k, v and grad, or an option; None where there is none, as of the storage that NumPy is told."""
    return getattr(problem if hasattr(problem, name) else problem.options, name, None)


def changed_arguments(
    problem: AttentionProblem, other: AttentionProblem, own: Mapping[str, Any], make: Callable[[str, Any], Any]
) -> dict[str, Any]:
    """The arguments of the other problem by name: those of ``own`` where both problems have the same; else what is made."""
    given = {}
    for name, x in own.items():
        before, now = argument_of(problem, name), argument_of(other, name)
        same = before is now or (not isinstance(now, np.ndarray) and before == now)
        given[name] = x if same else make(name, now)
    return given


def _nothing() -> None:
    """Nothing runs between a call and the reading of its results, unless a check asks for it."""


class GuardedInputs(ABC):
    """Copies of a problem's arrays, each inside its own buffer of NaN; and the options' arrays."""

    def __init__(self) -> None:
        self.views: dict[str, Any] = {}
        self._watched: dict[str, tuple[Any, Any]] = {}

    def watch(self, name: str, array: Any) -> None:
        """Notice when an array is written to."""
        self._watched[name] = (array, self.copy(array))

    def options(self, given: dict[str, Any]) -> dict[str, Any]:
        """The options with arrays of the library for tuples and NumPy arrays, each of them watched."""
        for name in ("alibi_slopes", "key_lengths", "cu_seqlens_q", "cu_seqlens_k"):
            if given[name] is not None:
                given[name] = self.array(given[name], whole=name != "alibi_slopes")
                self.watch(name, given[name])
        return given

    def mutated(self) -> tuple[str, ...]:
        """The names of what was written to, or beside."""
        return tuple(name for name, (now, before) in self._watched.items() if not self.same_bits(now, before))

    @abstractmethod
    def array(self, values: Any, *, whole: bool) -> Any:
        """An array of integers, or of the widest dtype that the problem's own computes in."""

    @abstractmethod
    def copy(self, array: Any) -> Any: ...

    @abstractmethod
    def same_bits(self, now: Any, before: Any) -> bool: ...


def out_of_memory(size: int, itemsize: int, error: Exception) -> NotRun:
    """The NotRun for a buffer that cannot be reserved."""
    return NotRun(f"needs {size * itemsize / 2**30:.0f} GiB of address space for one input: {error}")
