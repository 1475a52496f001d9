"""Events and attempts of the reference and of the product as plain tuples, so that they can be compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from enum import Enum
from typing import Any


def plain(item: Any) -> tuple[Any, ...]:
    """One event or attempt: which kind it is, and its fields by name; enumerations by their value."""
    if dataclasses.is_dataclass(item):
        fields = {field.name: getattr(item, field.name) for field in dataclasses.fields(item)}
    else:
        fields = item._asdict()
    kind = {"truncated": "lost", "defects": "recovered", "state": "incomplete", "query": "annotation"}
    named = next((name for field, name in kind.items() if field in fields), "text")
    return named, *sorted((name, _value(value)) for name, value in fields.items())


def all_plain(items: Iterable[Any]) -> list[tuple[Any, ...]]:
    """The same of several."""
    return [plain(item) for item in items]


def _value(value: Any) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, frozenset):
        return sorted(map(_value, value))
    return plain(value) if dataclasses.is_dataclass(value) or hasattr(value, "_asdict") else value
