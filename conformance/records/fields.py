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

Convert = Callable[[Any], Any]


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
            if each.at_default != "write" and value == each.default:
                if each.at_default == "omit":
                    continue
                value = None
            written[each.name] = _plain(value)
        return written

    @classmethod
    def from_json(cls, row: object) -> Self:
        """The inverse of `to_json`. RecordError names the field, what was found and what was expected."""
        kind: Any = cls
        try:
            made: Self = _row(kind)(row)
        except _MismatchError as error:
            raise RecordError(str(error)) from None
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
    """A value that is not what its annotation says, and the way to it from the outside."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.way = ""

    def under(self, step: str) -> _MismatchError:
        self.way = step + ("." if self.way and not self.way.startswith("[") else "") + self.way
        return self

    def __str__(self) -> str:
        return f"{self.way}: {self.message}" if self.way else self.message


def _mismatch(found: object, expected: str) -> _MismatchError:
    return _MismatchError(f"found {reprlib.repr(found)}, expected {expected}")


@dataclass(frozen=True)
class _Field:
    attribute: str
    name: str
    convert: Convert
    default: Any
    at_default: str


@functools.cache
def _plan(cls: Any) -> tuple[_Field, ...]:
    hints = typing.get_type_hints(cls, include_extras=True)
    plan = []
    for each in dataclasses.fields(cls):
        if each.metadata.get("local"):
            continue
        default = each.default if each.default_factory is MISSING else each.default_factory()
        name, at_default = each.metadata.get("name", each.name), each.metadata.get("at_default", "write")
        plan.append(_Field(each.name, name, _converter(hints[each.name]), default, at_default))
    return tuple(plan)


@functools.cache
def _row(cls: Any) -> Convert:
    def convert(row: Any) -> Row:
        if not isinstance(row, Mapping):
            raise _mismatch(row, "an object")
        found = {}
        for each in _plan(cls):
            given = row.get(each.name)
            try:
                if given is not None or (each.default is MISSING and each.name in row):
                    found[each.attribute] = each.convert(given)
                elif each.default is MISSING:
                    raise _MismatchError("missing")
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

    return convert


def _converter(annotation: Any) -> Convert:
    """The function that takes a JSON value to one of this annotation, or raises."""
    if annotation in _SIMPLE:
        return _SIMPLE[annotation]
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _GENERIC:
        return _GENERIC[origin](*arguments)
    if issubclass(annotation, StrEnum):
        return _literal(*(member.value for member in annotation), make=annotation)
    if issubclass(annotation, Row):
        return lambda value: _row(annotation)(value)
    raise TypeError(f"found the annotation {annotation!r}, which no record can hold")


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
    if value in ("inf", "-inf"):
        return float(value)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value:
        raise _mismatch(value, "a number or 'inf'")
    try:
        return float(value)
    except OverflowError:
        raise _mismatch(value, "a number that float64 holds, or 'inf'") from None


def _nothing(value: Any) -> None:
    if value is not None:
        raise _mismatch(value, "null")


def _free(value: Any, depth: int = DEEPEST) -> Any:
    if depth == 0:
        raise _MismatchError(f"nested more than {DEEPEST} levels deep")
    if isinstance(value, Mapping):
        return {_text(key): _free(inner, depth - 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_free(inner, depth - 1) for inner in value]
    if isinstance(value, (int, float)) and not (isinstance(value, bool) or math.isfinite(_number(value))):
        raise _mismatch(value, "a finite number")
    if value is not None and not isinstance(value, (int, float)):
        _text(value)
    return value


def _annotated(of: Any, *rules: Rule) -> Convert:
    inner = _converter(of)

    def convert(value: Any) -> Any:
        found = inner(value)
        for rule in rules:
            if not rule.holds(found):
                raise _mismatch(value, rule.expected)
        return found

    return convert


def _union(*members: Any) -> Convert:
    converters = [_converter(member) for member in members]

    def convert(value: Any) -> Any:
        errors = []
        for each in converters:
            try:
                return each(value)
            except _MismatchError as error:
                errors.append(error)
        # What the first member expects says it best: null and words are the exceptions.
        raise errors[0]

    return convert


def _literal(*words: str, make: Callable[[str], Any] = str) -> Convert:
    def convert(value: Any) -> Any:
        if not isinstance(value, str) or value not in words:
            raise _mismatch(value, f"one of {', '.join(word or repr(word) for word in words)}")
        return make(value)

    return convert


def _tuple(of: Any, *_: Any) -> Convert:
    inner = _converter(of)

    def convert(value: Any) -> tuple[Any, ...]:
        if not isinstance(value, (list, tuple)):
            raise _mismatch(value, "a list")
        found = []
        for place, each in enumerate(value):
            try:
                found.append(inner(each))
            except _MismatchError as error:
                raise error.under(f"[{place}]") from None
        return tuple(found)

    return convert


def _dict(_: Any, of: Any) -> Convert:
    inner = _converter(of)

    def convert(value: Any) -> dict[str, Any]:
        if not isinstance(value, Mapping):
            raise _mismatch(value, "an object")
        found = {}
        for key, each in value.items():
            try:
                found[_text(key)] = inner(each)
            except _MismatchError as error:
                raise error.under(reprlib.repr(key)) from None
        return found

    return convert


_SIMPLE: dict[Any, Convert] = {
    str: _text,
    bool: _flag,
    int: _whole,
    float: _number,
    types.NoneType: _nothing,
    Any: _free,
}
_GENERIC: dict[Any, Callable[..., Convert]] = {
    Annotated: _annotated,
    types.UnionType: _union,
    typing.Union: _union,
    Literal: _literal,
    tuple: _tuple,
    Sequence: _tuple,
    dict: _dict,
}


def _plain(value: Any) -> Any:
    if isinstance(value, Row):
        return value.to_json()
    if isinstance(value, StrEnum):
        return value.value
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    if isinstance(value, Mapping):
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(inner) for inner in value]
    return value
