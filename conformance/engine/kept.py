"""Keep what is dear to compute, as much as a number of bytes holds; what was used longest ago goes first."""

from __future__ import annotations

import functools
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from dataclasses import is_dataclass
from typing import Any, TypeVar

import numpy as np

MOST_BYTES = 2**30
"""Of arrays, for all functions of a process together. The cases of one system fill several times as much."""
Function = TypeVar("Function", bound=Callable[..., Any])


class Kept:
    """Results by function and arguments. ``held`` is how many bytes the arrays in both take."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.held = 0
        self._results: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()

    def __call__(self, function: Function) -> Function:
        """A function that keeps its results, whose arguments must be hashable."""

        @functools.wraps(function)
        def remembered(*arguments: Hashable) -> Any:
            key = (function, *arguments)
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key][0]
            found = function(*arguments)
            self._add(key, found)
            return found

        return remembered  # type: ignore[return-value]

    def _add(self, key: tuple[Hashable, ...], found: Any) -> None:
        size = bytes_of((key, found))
        self._results[key] = found, size
        self.held += size
        while self.held > self.most:
            self.held -= self._results.popitem(last=False)[1][1]


def bytes_of(value: Any) -> int:
    """What the arrays in a result take: in mappings, sequences and dataclasses too."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, Mapping):
        return sum(map(bytes_of, value.values()))
    if isinstance(value, tuple | list):
        return sum(map(bytes_of, value))
    return sum(map(bytes_of, vars(value).values())) if is_dataclass(value) else 0


kept = Kept(MOST_BYTES)
