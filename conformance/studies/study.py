"""Claims and curves are run by one kind of command: what was asked for, one after the other, into a complete record file.

`claims` and `curves` say what is run; here stand the shapes that both record, how the command line
selects, and the promise that one study which fails stops none of those after it.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from conformance.engine.check import last_line
from conformance.records import header
from conformance.records import io as records
from impls.implementation import Implementation, NotRun, Unsupported, in_one_line, is_installed
from impls.systems import SYSTEMS

HELD, BAD_INPUT, BROKEN, INTERRUPTED = 0, 2, 1, 130
"""Exit codes: everything that was asked for has an answer, whatever it is; a bad argument; an error; Ctrl+C."""
DIGITS = 6
"""Significant digits that a record keeps of a measured number: more would only be noise."""
LOGARITHMIC = ("", "x", "y", "xy")
_QUIET_S = 1.0
"""Seconds between two lines of progress."""


@dataclass(frozen=True)
class Axes:
    """What the two axes of a plot are called, units included, and which of them is logarithmic (``x``, ``y``, ``xy``)."""

    x: str
    y: str
    log: str = ""

    def __post_init__(self) -> None:
        if self.log not in LOGARITHMIC:
            raise ValueError(f"log is {self.log!r}; expected one of {', '.join(map(repr, LOGARITHMIC))}")

    def to_json(self) -> dict[str, str]:
        return {"x": self.x, "y": self.y, "log": self.log}


@dataclass(frozen=True)
class Series:
    """One line of a plot; ``low`` and ``high`` are the ends of an interval around each ``y``, where there is one."""

    label: str
    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None

    def to_json(self) -> dict[str, Any]:
        lengths = {len(values) for values in (self.x, self.y, self.low, self.high) if values is not None}
        if len(lengths) != 1:
            raise ValueError(f"the series {self.label!r} has lists of different lengths: {sorted(lengths)}")
        if (self.low is None) != (self.high is None):
            raise ValueError(f"the series {self.label!r} has one end of its intervals; expected both or neither")
        fields = {"x": self.x, "y": self.y, "low": self.low, "high": self.high}
        return {"label": self.label, **{key: values and [number(value) for value in values] for key, values in fields.items()}}


@dataclass(frozen=True)
class Effort:
    """How much may be spent on a study, and where: ``run`` gets one."""

    quick: bool = False
    """Seconds, not minutes: fewer steps, smaller sizes."""
    device: str = "cpu"
    say: Callable[[str], None] = lambda _: None
    """Tells whoever waits how far it is, in a few words; call it as often as convenient."""


def number(value: Any) -> float | str:
    """A measured number as a record holds it. ValueError for one that is not a number."""
    plain = float(value)
    if math.isnan(plain):
        raise ValueError("found NaN where a measured number was expected")
    if math.isinf(plain):
        return "inf" if plain > 0 else "-inf"
    return float(f"{plain:.{DIGITS}g}")


def in_rooms(module: str, attribute: str) -> tuple[Any, ...]:
    """What the rooms hold under that name, in the order of the systems; a room without such a file holds nothing."""
    found: list[Any] = []
    for system in SYSTEMS:
        name = f"conformance.{system.name}.{module}"
        if is_installed(name):
            found += getattr(importlib.import_module(name), attribute)
    return tuple(found)


def obstacle(needs: Sequence[str], devices: Sequence[str], effort: Effort, quick: bool) -> Exception | None:
    """Why a study cannot be run here at all; None where nothing stands in the way."""
    missing = [module for module in needs if not is_installed(module.partition(".")[0])]
    if missing:
        return NotRun(
            f"needs {', '.join(missing)}, not installed here; python -m pip install -c constraints.txt '.[torch,peers]'"
        )
    if effort.device not in devices:
        return NotRun(f"runs on {', '.join(devices)} only, and this run is on {effort.device}; see --device")
    if effort.quick and not quick:
        return NotRun("left out by --quick: it has no short form")
    return None


@dataclass(frozen=True)
class Study:
    """One thing to run: ``begin`` holds what its line says whatever happens, ``finish`` adds what was found."""

    title: str
    begin: Mapping[str, Any]
    finish: Callable[[Effort], Mapping[str, Any]]


def run(studies: Sequence[Study], effort_of: Callable[[Callable[[str], None]], Effort]) -> tuple[list[dict[str, Any]], bool]:
    """A line for every study, and whether the run was interrupted; what had not ended by then says so."""
    lines: list[dict[str, Any]] = []
    width = len(str(len(studies)))
    for place, study in enumerate(studies, start=1):
        counted = f"[{place:>{width}}/{len(studies)}] {study.title}"
        print(f"{counted} ...", flush=True)
        started = time.monotonic()
        line = dict(study.begin)
        try:
            line.update(study.finish(effort_of(_Progress(study.title))))
        except Unsupported as reason:
            line.update(verdict="unsupported", message=in_one_line(str(reason)))
        except NotRun as reason:
            line.update(verdict="not run", message=in_one_line(str(reason)))
        except KeyboardInterrupt:
            rest = [dict(other.begin) for other in studies[place - 1 :]]
            lines += [{**other, "verdict": "not run", "message": "the run was interrupted before its end"} for other in rest]
            print(f"interrupted: {len(rest)} not run", flush=True)
            return lines, True
        except BaseException as error:  # SystemExit of a library is an error of that study alone
            line.update(verdict="error", message=last_line(error))
        line["seconds"] = round(time.monotonic() - started, 2)
        measured = line.get("measured")
        unit = f" {line['unit']}" if line.get("unit") and not isinstance(measured, str) else ""
        shown = "" if measured is None else f", measured {measured}{unit}"
        message = f": {line['message']}" if line.get("message") else ""
        print(f"{counted} {line['verdict']}{shown}{message} ({line['seconds']} s)", flush=True)
        lines.append(line)
    return lines, False


class _Progress:
    """Lines on stderr, not more than one a second."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.last = time.monotonic()

    def __call__(self, text: str) -> None:
        now = time.monotonic()
        if now - self.last >= _QUIET_S:
            self.last = now
            print(f"      {self.title}: {in_one_line(text)}", file=sys.stderr, flush=True)


def parser(command: str, description: str, what: str) -> argparse.ArgumentParser:
    """The options that both commands share."""
    made = argparse.ArgumentParser(
        prog=f"python -m conformance.{command}",
        description=description,
        epilog="Exit codes: 0, all that was asked for has an answer; 1, something ended in an error; 2, a bad argument; 130, "
        "interrupted (what was found until then is recorded).",
    )
    made.add_argument("names", nargs="*", metavar=what, help="which ones: names, systems or globs of them. Default: all")
    made.add_argument("--quick", action="store_true", help="those that have a short form, in it: seconds each")
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to run. Default: cpu")
    made.add_argument("--list", action="store_true", help="list them and exit, running nothing")
    made.add_argument(
        "--records", metavar="FILE", help="write what was found to FILE (JSON lines); `python -m reports` renders it"
    )
    return made


def selected(names: Sequence[str], known: Mapping[str, str]) -> list[str]:
    """The ids that ``names`` select of ``known`` (id to system), in its order. ValueError names one that selects nothing."""
    if not names:
        return list(known)
    chosen: set[str] = set()
    for name in names:
        found = {id_ for id_, system in known.items() if fnmatch.fnmatchcase(id_.lower(), name.lower()) or system == name}
        if not found and name not in {system.name for system in SYSTEMS}:
            listed = ", ".join(known) or "none"
            raise ValueError(f"{name!r} selects nothing; expected a system, or a glob over {listed}")
        chosen |= found
    return [id_ for id_ in known if id_ in chosen]


def carry_out(
    command: str,
    options: argparse.Namespace,
    studies: Sequence[Study],
    implementations: Sequence[Implementation] = (),
    specs: Sequence[str] = (),
    written: Callable[[Mapping[str, Any]], list[dict[str, Any]]] = lambda line: [dict(line)],
) -> int:
    """Run the studies, write the records, say where they are; the command's exit code.

    ``written`` turns the line of a study into those of the record file.
    """
    began = header.Began()
    effort: Callable[[Callable[[str], None]], Effort] = lambda say: Effort(options.quick, options.device, say)  # noqa: E731
    lines, interrupted = run(studies, effort)
    broken = any(line["verdict"] == "error" for line in lines)
    code = INTERRUPTED if interrupted else BROKEN if broken else HELD
    if options.records:
        asked = {
            "command": command,
            "quick": options.quick,
            "device": [options.device],
            "dtype": [],
            "impl": list(specs),
            "only": list(options.names),
            "benchmark": False,
        }
        head = header.header(began, asked, map(header.described, implementations))
        try:
            records.write(options.records, head, [row for line in lines for row in written(line)], began.footer(code))
        except OSError as error:
            print(f"python -m conformance.{command}: --records {options.records}: not written: {error}", file=sys.stderr)
            return BAD_INPUT
        print(f"records: {options.records}; render them with: python -m reports {options.records} -o DIR")
    return code


def listing(rows: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Two columns of text."""
    width = max((len(first) for first, _ in rows), default=0)
    yield from (f"{first:<{width}}  {second}" for first, second in rows)
