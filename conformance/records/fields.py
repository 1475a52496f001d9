"""Read and write frozen dataclasses as JSON objects, every field checked against its annotation.

A class that derives from `Row` declares its fields once, and the annotations say what JSON may hold: ``str``, ``bool``,
``int``, ``float`` (a number, "inf" or "-inf"), a StrEnum, another `Row`, ``tuple[X, ...]``, ``dict[str, X]``, a Literal, a
union of these, ``Annotated[X, Rule(...)]`` for a range, or ``Json`` for anything of limited depth. A field that is missing, or
null, takes its default: that is how records of older versions are read. Fields that a class does not know are ignored.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import reprlib
import sys
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

Json = Any
"""Any JSON value, nested at most `DEEPEST` levels."""
DEEPEST = 8
LARGEST = 2**63 - 1

Reader = Callable[[Any], Any]


class RecordError(ValueError):
    """A record file that cannot be used; the message names the file, what was found and what was expected."""


@dataclass(frozen=True)
class Rule:
    """What a value must satisfy beyond its type, and how a message says so."""

    expected: str
    holds: Callable[[Any], bool]


Finite = Annotated[float, Rule("a finite number", math.isfinite)]
Positive = Annotated[float, Rule("a positive, finite number", lambda value: 0 < value < math.inf)]
NotNegative = Annotated[float, Rule("a finite number, 0 or more", lambda value: 0 <= value < math.inf)]
Count = Annotated[int, Rule("a whole number, 0 or more", lambda value: value >= 0)]


OMIT = {"at_default": "omit"}
"""Metadata of a field that is left out of JSON where it has its default."""
NULL = {"at_default": "null"}
"""Metadata of a field that is null in JSON where it has its default."""
LOCAL = {"local": True}
"""Metadata of a field that is not part of the record. The key ``name`` gives a field another name in JSON."""


class Row:
    """A dataclass that is an object in JSON."""

    def to_json(self) -> dict[str, Any]:
        """A mapping of what json.dumps takes; an infinite number is "inf", for which JSON has no number."""
        written = {}
        kind: Any = type(self)
        for each in _plan(kind):
            value = getattr(self, each.attribute)
            is_default = value == each.default
            if not (is_default and each.at_default == "omit"):
                written[each.name] = None if is_default and each.at_default == "null" else _plain(value)
        return written

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. RecordError names the field, what was found and what was expected."""
        try:
            made: Self = _row_reader(cls)(row)
        except _MismatchError as error:
            raise RecordError(": ".join(filter(None, (error.way, str(error))))) from None
        return made

    def contradiction(self) -> str:
        """What is wrong with this row although each of its fields may be right; empty where nothing is."""
        return ""


class Record(Row):
    """One line of a record file, of the kind that its ``record`` key names."""

    KIND: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        return {"record": self.KIND, **super().to_json()}


class _MismatchError(Exception):
    """A value that is not what its annotation says; ``way`` leads to it from the outside."""

    way = ""

    def under(self, step: str) -> _MismatchError:
        self.way = step + ("." if self.way and not self.way.startswith("[") else "") + self.way
        return self


def _mismatch(found: object, expected: str) -> _MismatchError:
    return _MismatchError(f"found {reprlib.repr(found)}, expected {expected}")


@dataclass(frozen=True)
class _Field:
    """How one field is read and written."""

    attribute: str
    name: str
    read: Reader
    default: Any
    at_default: str


@functools.cache
def _plan(cls: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    return tuple(
        _Field(
            each.name,
            each.metadata.get("name", each.name),
            _reader(hints[each.name]),
            each.default if each.default_factory is MISSING else each.default_factory(),
            each.metadata.get("at_default", ""),
        )
        for each in dataclasses.fields(cls)
        if not each.metadata.get("local")
    )


def _row_reader(cls: Any) -> Reader:
    def read(row: Any) -> Any:
        if not isinstance(row, Mapping):
            raise _mismatch(row, "an object")
        found = {}
        for each in _plan(cls):
            given = row.get(each.name)
            if given is None and each.default is not MISSING:
                continue
            try:
                if each.name not in row:
                    raise _MismatchError("missing")
                found[each.attribute] = each.read(given)
            except _MismatchError as error:
                raise error.under(each.name) from None
        try:
            made: Row = cls(**found)
            problem = made.contradiction()
        except ValueError as error:
            problem = str(error)
        if problem:
            raise _MismatchError(problem)
        return made

    return read


def _reader(annotation: Any) -> Reader:
    """The function that takes a JSON value to one of this annotation, or raises."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    if origin in _GENERIC:
        return _GENERIC[origin](*arguments)
    if issubclass(annotation, StrEnum):
        return _literal_reader(*(member.value for member in annotation), make=annotation)
    return _row_reader(annotation)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise _mismatch(value, "a text")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _mismatch(value, "true or false")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= LARGEST or value % 1:
        raise _mismatch(value, f"a whole number of at most {LARGEST}")
    return int(value)


def _number(value: Any) -> float:
    is_number = isinstance(value, (int, float)) and not isinstance(value, bool) and value == value
    if value in ("inf", "-inf", math.inf, -math.inf) or (is_number and abs(value) <= sys.float_info.max):
        return float(value)
    raise _mismatch(value, "a number that float64 holds, or 'inf'")


def _nothing(value: Any) -> None:
    if value is not None:
        raise _mismatch(value, "null")


def _anything(value: Any, depth: int = DEEPEST) -> Any:
    if depth == 0:
        raise _MismatchError(f"nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return {_text(key): _anything(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_anything(inner, depth - 1) for inner in value]
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)) and abs(value) <= sys.float_info.max:
        return value
    return _text(value)


def _annotated_reader(of: Any, *rules: Rule) -> Reader:
    inner = _reader(of)

    def read(value: Any) -> Any:
        found = inner(value)
        for rule in rules:
            if not rule.holds(found):
                raise _mismatch(value, rule.expected)
        return found

    return read


def _union_reader(*members: Any) -> Reader:
    readers = [_reader(member) for member in members]

    def read(value: Any) -> Any:
        errors = []
        for each in readers:
            try:
                return each(value)
            except _MismatchError as error:
                errors.append(error)
        # What the first member expects says it best: null and words are the exceptions.
        raise errors[0]

    return read


def _literal_reader(*words: str, make: Callable[[str], Any] = str) -> Reader:
    def read(value: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise _mismatch(value, f"one of {', '.join(word or repr(word) for word in words)}")
        return make(value)

    return read


def _list_reader(of: Any, *_: Any) -> Reader:
    inner = _reader(of)

    def read(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _mismatch(value, "a list")
        return tuple(_at(f"[{place}]", inner, each) for place, each in enumerate(value))

    return read


def _dict_reader(_: Any, of: Any) -> Reader:
    inner = _reader(of)

    def read(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _mismatch(value, "an object")
        return {_text(key): _at(reprlib.repr(key), inner, each) for key, each in value.items()}

    return read


def _at(step: str, read: Reader, value: Any) -> Any:
    try:
        return read(value)
    except _MismatchError as error:
        raise error.under(step) from None


_SIMPLE: dict[Any, Reader] = {
    str: _text, bool: _flag, int: _whole, float: _number, types.NoneType: _nothing, Any: _anything
}  # fmt: skip
_GENERIC: dict[Any, Callable[..., Reader]] = {
    Annotated: _annotated_reader,
    types.UnionType: _union_reader,
    typing.Union: _union_reader,
    Literal: _literal_reader,
    tuple: _list_reader,
    Sequence: _list_reader,
    dict: _dict_reader,
}


def _plain(value: Any) -> Any:
    match value:
        case Row():
            return value.to_json()
        case StrEnum():
            return value.value
        case float():
            return str(value) if math.isinf(value) else value
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
    return value
