"""Workloads of one's own, from a file: shapes that the lists of this suite do not have.

The file holds a JSON list. Each entry has ``system`` and the fields that ``custom`` of ``conformance/<system>/workloads.py``
names; docs/measuring.md lists them.
"""

from __future__ import annotations

import functools
import importlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from conformance.benchmark.workload import Workload

SYSTEMS = ("ademamix", "sigmoid_attention")
"""Those whose work is a shape; texts are not."""


class BadWorkloads(ValueError):
    """The file is not what it should be; the message says where, what was found and what was expected."""


@functools.cache
def read(path: str) -> tuple[Workload, ...]:
    """The workloads of a file, in its order."""
    try:
        entries = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise BadWorkloads(f"{path}: {error.strerror}; expected a JSON file with a list of workloads") from None
    except ValueError as error:
        raise BadWorkloads(f"{path}: found no JSON ({error}); expected a list of workloads") from None
    if not isinstance(entries, list) or not entries:
        raise BadWorkloads(f"{path}: found {_kind(entries)}, expected a list of workloads")
    found: dict[tuple[str, str], Workload] = {}
    for number, entry in enumerate(entries, 1):
        try:
            workload = made(entry)
        except BadWorkloads as error:
            raise BadWorkloads(f"{path}, workload {number}: {error}") from None
        if found.setdefault((workload.system, workload.id), workload) is not workload:
            raise BadWorkloads(f"{path}, workload {number}: found the name {workload.id} again, expected one of its own")
    return tuple(found.values())


def made(entry: Any) -> Workload:
    """The workload of one entry."""
    if not isinstance(entry, dict):
        raise BadWorkloads(f"found {_kind(entry)}, expected an object")
    system = entry.get("system")
    if system not in SYSTEMS:
        raise BadWorkloads(f"found the system {system!r}, expected one of {', '.join(SYSTEMS)}")
    module = importlib.import_module(f"conformance.{system}.workloads")
    workload: Workload = module.custom({name: value for name, value in entry.items() if name != "system"})
    return workload


def _kind(value: Any) -> str:
    if isinstance(value, list):
        return "a list of none"
    return "an object" if isinstance(value, dict) else f"{value!r}"


def fields_of(entry: Mapping[str, Any], defaults: Mapping[str, Any], choices: Mapping[str, Iterable[Any]]) -> dict[str, Any]:
    """The entry filled up with defaults. A default says which type a value has; None: it must be given, as a whole number."""
    unknown = [name for name in entry if name not in defaults]
    if unknown:
        raise BadWorkloads(f"found {unknown[0]!r}, expected fields among {', '.join(defaults)}")
    found = {**defaults, **entry}
    for name, value in found.items():
        allowed = tuple(choices.get(name, ()))
        if allowed and value not in allowed:
            raise BadWorkloads(f"found {name} {value!r}, expected one of {', '.join(map(repr, allowed))}")
        if not allowed and not _fits(value, defaults[name]):
            raise BadWorkloads(f"found {name} {value!r}, expected {_expected(defaults[name])}")
    return found


def _fits(value: Any, default: Any) -> bool:
    if isinstance(default, bool) or isinstance(value, bool):
        return isinstance(value, bool) and isinstance(default, bool)
    if default is None or isinstance(default, int):
        return isinstance(value, int) and value >= (1 if default is None else 0)
    if isinstance(default, tuple):
        return isinstance(value, list | tuple) and all(type(each) is int and each > 0 for each in value)
    return isinstance(value, type(default))


def _expected(default: Any) -> str:
    if default is None:
        return "a whole number from 1 on"
    words = {"bool": "true or false", "int": "a whole number", "tuple": "a list of whole numbers from 1 on", "str": "a text"}
    return words[type(default).__name__]
