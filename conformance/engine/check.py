"""Test one requirement on one implementation: a check is a function of (subject, case, dtype), with its cases."""

from __future__ import annotations

import math
import traceback
import warnings
from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from conformance.engine.comparison import Comparison
from conformance.engine.harness import AnySubject
from conformance.ptx.faults import KernelFault
from impls.implementation import in_one_line


class Case(Hashable, Protocol):
    """An input description: frozen, hashable, deterministic, cheap. Arrays are made from it when needed."""

    @property
    def id(self) -> str:
        """Stable, ASCII, without ':' '[' ']' and spaces; unique within its check."""

    @property
    def quick(self) -> bool:
        """Whether it belongs to ``--quick``."""

    @property
    def needs(self) -> frozenset[str]:
        """The features that an implementation must offer. Where it declares to lack one, the verdict is unsupported."""

    @property
    def dtypes(self) -> tuple[str, ...]:
        """The dtypes in which it is run; empty for text."""


CheckFunction = Callable[[Any, Any, str], Iterable[Comparison]]
"""``check(subject, case, dtype)``: yields comparisons. The subject is what the system's harness connects."""


@dataclass(frozen=True)
class Check:
    """The code that tests one requirement, and the cases to run it on."""

    requirement: str
    run: CheckFunction
    cases: tuple[Any, ...]

    def __post_init__(self) -> None:
        ids = [case.id for case in self.cases]
        if not ids or len(set(ids)) != len(ids):
            raise ValueError(f"the check of {self.requirement} needs cases with distinct ids, found {ids}")


LINE = "gaugeblock_last_line"
"""The attribute of an error from another process that holds the `last_line` that it had there."""


def run_check(check: Check, subject: AnySubject, case: Case, dtype: str) -> list[Comparison]:
    """The comparisons of one check on one subject. AssertionError where there are none: such a check cannot fail."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        comparisons = list(check.run(subject, case, dtype))
    if not comparisons:
        raise AssertionError(f"the check of {check.requirement} compared nothing on case {case.id}")
    return comparisons


def worst_of(comparisons: Iterable[Comparison]) -> Comparison:
    """The comparison with the largest margin; a margin that is not a number counts as infinite."""
    return max(comparisons, key=lambda c: math.inf if math.isnan(c.margin) else c.margin)


def least_resolved_of(comparisons: Iterable[Comparison]) -> Comparison:
    """The comparison with the largest resolution, which can tell the least; one without any comes last."""
    return max(comparisons, key=lambda c: -1.0 if c.resolution is None else c.resolution)


def last_line(error: BaseException) -> str:
    """``file:line: Type: message`` of the innermost frame, with only the file's name: the same on every machine.

    An error that comes from another process brings the line along.
    """
    if isinstance(brought := getattr(error, LINE, None), str):
        return in_one_line(brought)
    if isinstance(error, KernelFault):  # the place in the kernel is what says something, not where the interpreter noticed
        return in_one_line(f"the kernel: {error}")
    text = in_one_line("".join(traceback.format_exception_only(error)).strip().split("\n")[-1])
    frames = traceback.extract_tb(error.__traceback__)
    if not frames:
        return text
    file = frames[-1].filename.replace("\\", "/").rsplit("/", 1)[-1]
    return f"{file}:{frames[-1].lineno}: {text}"
