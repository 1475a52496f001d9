"""Claim and curve lines as the sections and charts read them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from reports.reading import number, numbers


@dataclass(frozen=True)
class Axes:
    x: str
    y: str
    log: str = ""


@dataclass(frozen=True)
class Line:
    """One line of a plot; ``low`` and ``high`` are empty where there are no intervals."""

    label: str
    x: tuple[float, ...]
    y: tuple[float, ...]
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()


@dataclass(frozen=True)
class PaperClaim:
    """What a paper says and what was measured of it in one run."""

    run: str
    system: str
    id: str
    statement: str
    source: str
    expected: float | str | None
    measured: float | str | None
    unit: str
    verdict: str
    message: str
    device: str
    quick: bool
    seconds: float
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)
    lines: tuple[Line, ...] = ()
    axes: Axes = Axes("", "")


@dataclass(frozen=True)
class Trace:
    """One implementation along a curve, in one dtype; without points where ``verdict`` is not ``measured``."""

    run: str
    system: str
    implementation: str
    name: str
    title: str
    verdict: str
    message: str
    dtype: str
    device: str
    quick: bool
    axes: Axes
    line: Line
    settings: Mapping[str, Any] = field(default_factory=dict, hash=False)


def claim(line: Mapping[str, Any], run: str) -> PaperClaim:
    """A claim line. KeyError, TypeError or ValueError where it is not one."""
    return PaperClaim(
        run=run,
        **{word: str(line[word]) for word in ("system", "id", "statement", "source", "verdict")},
        **{word: str(line.get(word) or "") for word in ("unit", "message", "device")},
        expected=_value(line.get("expected")),
        measured=_value(line.get("measured")),
        quick=bool(line.get("quick")),
        seconds=number(line.get("seconds")) or 0.0,
        settings=_settings(line),
        lines=tuple(_line(row, str(row.get("label") or "")) for row in line.get("series") or ()),
        axes=_axes(line),
    )


def trace(line: Mapping[str, Any], run: str) -> Trace:
    """A curve line. KeyError, TypeError or ValueError where it is not one."""
    return Trace(
        run=run,
        **{word: str(line[word]) for word in ("system", "implementation", "name", "title")},
        **{word: str(line.get(word) or "") for word in ("message", "dtype", "device")},
        verdict=str(line.get("verdict") or "measured"),
        quick=bool(line.get("quick")),
        axes=_axes(line),
        line=_line(line, str(line["implementation"])),
        settings=_settings(line),
    )


def best_claims(found: Iterable[PaperClaim]) -> tuple[PaperClaim, ...]:
    """Of each claim on each device what says most, in the order of their numbers.

    A measurement outweighs "not run", and a full run a quick one; two that weigh the same both stay.
    """
    groups: dict[tuple[str, str, str], list[PaperClaim]] = {}
    for one in found:
        groups.setdefault((one.system, one.id, one.device), []).append(one)
    kept = []
    for members in groups.values():
        heaviest = max(_weight(member.verdict, member.quick) for member in members)
        kept += [member for member in members if _weight(member.verdict, member.quick) == heaviest]
    return tuple(sorted(kept, key=lambda one: (one.system, natural(one.id), one.device, one.run, repr(one))))


def best_traces(found: Iterable[Trace]) -> tuple[Trace, ...]:
    """Of each implementation along each curve what says most."""
    groups: dict[tuple[str, ...], list[Trace]] = {}
    for one in found:
        groups.setdefault((one.system, one.name, one.device, one.implementation), []).append(one)
    kept = []
    for members in groups.values():
        heaviest = max(_weight(member.verdict, member.quick) for member in members)
        kept += [member for member in members if _weight(member.verdict, member.quick) == heaviest]
    return tuple(sorted(kept, key=lambda one: (one.system, one.name, one.device, one.implementation, one.dtype, repr(one))))


def natural(text: str) -> list[tuple[int, str]]:
    """A sorting key by which C2 stands before C10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", text)]


def _weight(verdict: str, quick: bool) -> tuple[bool, bool]:
    return verdict not in ("not run", "error", "unsupported"), not quick


def _value(value: Any) -> float | str | None:
    return value if isinstance(value, str) and value not in ("inf", "-inf") else number(value)


def _settings(line: Mapping[str, Any]) -> dict[str, Any]:
    settings = line.get("settings") or {}
    if not isinstance(settings, Mapping):
        raise TypeError(f"settings is {settings!r}, expected an object")
    return {str(key): value for key, value in settings.items()}


def _axes(line: Mapping[str, Any]) -> Axes:
    axes = line.get("axes") or {}
    return Axes(str(axes.get("x") or ""), str(axes.get("y") or ""), str(axes.get("log") or ""))


def _line(row: Mapping[str, Any], label: str) -> Line:
    lists = [numbers(row.get(word) or ()) for word in ("x", "y", "low", "high")]
    if len(lists[0]) != len(lists[1]) or any(values and len(values) != len(lists[0]) for values in lists[2:]):
        raise ValueError(f"the lists of {label!r} have different lengths")
    return Line(label, *lists)
