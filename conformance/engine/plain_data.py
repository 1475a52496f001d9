"""Carry answers from a process that is not trusted: plain data, arrays and named records, and nothing that could run code.

Pickle is the format, but what comes in may name no class and no function at all. Arrays, scalars of NumPy, and the records
that a system's harness lists are written as plain data, and rebuilt here. Subclasses of plain types arrive as those types.
"""

from __future__ import annotations

import dataclasses
import io
import pickle
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

Records = Mapping[str, type]
"""The dataclasses that may be carried, by their names."""

_PLAIN = frozenset({type(None), bool, int, float, str, bytes, tuple, list, dict, set, frozenset})
_EXACT: tuple[tuple[type, Callable[[Any], Any]], ...] = (
    (str, str.__str__),
    (int, int.__int__),
    (float, float.__float__),
    (tuple, lambda x: tuple(tuple.__iter__(x))),
    (list, lambda x: list(list.__iter__(x))),
    (dict, lambda x: dict(dict.items(x))),
    (MappingProxyType, dict),
    (frozenset, lambda x: frozenset(frozenset.__iter__(x))),
    (set, lambda x: set(set.__iter__(x))),
)
_LARGEST = 10**7
_MOST_SHARED = 64
"""A few bytes can stand for more values than anybody can write out, where lists hold one and the same list twice."""
_KINDS = "biufc"
"""The kinds of dtypes that are carried: numbers and truth values."""


class NotPlainError(TypeError):
    """Something that is no plain data was to be carried; or what came was not made by `written`."""


def is_plain(value: Any, records: Records) -> bool:
    """Whether the value itself can be carried; what it holds is not looked at."""
    kinds = (*(kind for kind, _ in _EXACT), np.ndarray, np.generic)
    return type(value) in _PLAIN or isinstance(value, kinds) or records.get(type(value).__name__) is type(value)


def written(value: Any, records: Records) -> bytes:
    """The value as bytes. NotPlainError names the type of what cannot be carried."""
    buffer = io.BytesIO()
    _PlainWriter(buffer, records).dump(value)
    return buffer.getvalue()


def read(data: bytes | bytearray, records: Records) -> Any:
    """The value that `written` wrote. NotPlainError for anything else."""
    try:
        value = _PlainReader(io.BytesIO(data), records).load()
        if (size := _size(value, {})) > max(_LARGEST, _MOST_SHARED * len(data)):
            raise NotPlainError(f"found {len(data)} bytes that stand for {size:.3g} values, expected each value once")
        return value
    except NotPlainError:
        raise
    except Exception as error:
        raise NotPlainError(f"found bytes that are no message ({type(error).__name__}: {error})") from None


def _size(value: Any, known: dict[int, int]) -> int:
    """Values and characters in a value, each counted as often as it stands there. A value that holds itself is refused."""
    if isinstance(value, (str, bytes)):
        return 1 + len(value)
    if isinstance(value, dict):
        held: Iterable[Any] = (*value.keys(), *value.values())
    elif isinstance(value, (list, tuple, set, frozenset)):
        held = value
    elif dataclasses.is_dataclass(value):
        held = [getattr(value, field.name) for field in dataclasses.fields(value)]
    else:
        return 1
    if (number := id(value)) not in known:
        known[number] = _LARGEST**2  # while it is counted, for a value that holds itself
        known[number] = 1 + sum(_size(each, known) for each in held)
    return known[number]


class _PlainWriter(pickle.Pickler):
    def __init__(self, buffer: io.BytesIO, records: Records) -> None:
        super().__init__(buffer, protocol=5)
        self._records = records

    def persistent_id(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return None
        if isinstance(value, (np.ndarray, np.generic)) and value.dtype.kind in _KINDS:
            return "array", value.dtype.str, value.shape, value.tobytes(), isinstance(value, np.generic)
        if self._records.get(kind.__name__) is kind:
            return "record", kind.__name__, {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
        for base, exact in _EXACT:
            if isinstance(value, base):
                return "plain", exact(value)
        raise NotPlainError(f"found a {kind.__module__}.{kind.__qualname__}, expected plain data or arrays of numbers")


class _PlainReader(pickle.Unpickler):
    def __init__(self, buffer: io.BytesIO, records: Records) -> None:
        super().__init__(buffer)
        self._records = records

    def find_class(self, module: str, name: str) -> NoReturn:
        raise NotPlainError(f"found {module}.{name}, expected plain data that names no class")

    def persistent_load(self, found: Any) -> Any:
        what, *rest = found
        if what == "plain":
            return rest[0]
        if what == "record":
            return self._records[rest[0]](**rest[1])
        dtype = np.dtype(rest[0])
        if dtype.kind not in _KINDS:
            raise NotPlainError(f"found an array of {dtype}, expected numbers")
        array = np.frombuffer(rest[2], dtype).reshape(rest[1]).copy()
        return array[()] if rest[3] else array
