"""Run studies (claims and curves) one after the other into a complete record file.

`claims` and `curves` say what is run. Here are the command line that both share, and the loop: one study that fails stops
none of those after it.
"""

from __future__ import annotations

import argparse
import fnmatch
import importlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from conformance.benchmark import environment
from conformance.engine.outcome import outcome_of
from conformance.records import header, io
from conformance.records.schema import Axes as Axes
from conformance.records.schema import ClaimRecord, CurveRecord, OptionsRecord
from conformance.records.schema import Series as Series
from impls.implementation import Implementation, NotRun, in_one_line, is_installed
from impls.systems import SYSTEMS
from impls.triton_support import interpret_without

DONE, BAD_INPUT, BROKEN, INTERRUPTED = 0, 2, 1, 130
"""Exit codes: everything that was asked for has an answer, whatever it is; a bad argument; an error; Ctrl+C."""
_QUIET_S = 1.0
"""Seconds between two lines of progress."""

StudyRecord = ClaimRecord | CurveRecord


@dataclass(frozen=True)
class Effort:
    """How much may be spent on a study, and where: ``run`` gets one."""

    quick: bool = False
    """Seconds, not minutes: fewer steps, smaller sizes."""
    device: str = "cpu"
    say: Callable[[str], None] = lambda _: None
    """Shows progress in a few words; call it as often as convenient."""


@dataclass(frozen=True)
class Study:
    """One thing to run: ``blank`` is its record whatever happens, ``run`` gives the records of what was found."""

    title: str
    blank: StudyRecord
    run: Callable[[Effort], Sequence[StudyRecord]]


class Subject(Protocol):
    """What a study is of: a claim or a curve."""

    @property
    def id(self) -> str: ...
    @property
    def system(self) -> str: ...
    @property
    def summary(self) -> str:
        """For ``--list``."""

    @property
    def quick(self) -> bool: ...
    @property
    def needs(self) -> tuple[str, ...]: ...
    @property
    def devices(self) -> tuple[str, ...]: ...


AnySubject = TypeVar("AnySubject", bound=Subject)


def of_systems(module: str, attribute: str) -> tuple[Any, ...]:
    """Join the tuples of that name in the systems' packages, in the order of the systems. A system may lack the file."""
    found: list[Any] = []
    for system in SYSTEMS:
        name = f"conformance.{system.name}.{module}"
        if is_installed(name):
            found += getattr(importlib.import_module(name), attribute)
    return tuple(found)


def refuse_obstacle(subject: Subject, effort: Effort) -> None:
    """NotRun where a study cannot be run here at all."""
    missing = [module for module in subject.needs if not is_installed(module.partition(".")[0])]
    if missing:
        raise NotRun(
            f"needs {', '.join(missing)}, not installed here; python -m pip install -c constraints.txt '.[torch,peers]'"
        )
    if effort.device not in subject.devices:
        raise NotRun(f"runs on {', '.join(subject.devices)} only, and this run is on {effort.device}; see --device")
    if effort.quick and not subject.quick:
        raise NotRun("left out by --quick: it has no short form")


def run(studies: Sequence[Study], options: argparse.Namespace) -> tuple[list[StudyRecord], bool]:
    """Run every study; return their records, and whether the run was interrupted. A study that was cut off gets a record
    too."""
    records: list[StudyRecord] = []
    width = len(str(len(studies)))
    for place, study in enumerate(studies, start=1):
        counted = f"[{place:>{width}}/{len(studies)}] {study.title}"
        print(f"{counted} ...", flush=True)
        started = time.monotonic()
        found: Sequence[StudyRecord]
        try:
            found = study.run(Effort(options.quick, options.device, _Progress(study.title)))
        except KeyboardInterrupt:
            rest = [replace(each.blank, message="the run was interrupted before its end") for each in studies[place - 1 :]]
            print(f"interrupted: {len(rest)} not run", flush=True)
            return records + rest, True
        except BaseException as error:
            verdict, message = outcome_of(error)
            found = [replace(study.blank, verdict=verdict.value, message=message)]
        seconds = round(time.monotonic() - started, 2)
        print(f"{counted} {_said(found[0])} ({seconds} s)", flush=True)
        records += [replace(record, seconds=seconds) for record in found]
    return records, False


def _said(record: StudyRecord) -> str:
    measured = ""
    if isinstance(record, ClaimRecord) and record.measured is not None:
        unit = f" {record.unit}" if record.unit and not isinstance(record.measured, str) else ""
        measured = f", measured {record.measured}{unit}"
    return f"{record.verdict}{measured}{f': {record.message}' if record.message else ''}"


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


def parser(
    maker: Callable[..., argparse.ArgumentParser], command: str, description: str, what: str
) -> argparse.ArgumentParser:
    """The options that both commands share."""
    made = maker(
        prog=f"python -m conformance.studies.{command}",
        description=description,
        epilog="Exit codes: 0, all that was asked for has an answer; 1, something ended in an error; 2, a bad argument; 130, "
        "interrupted (what was found until then is recorded).",
    )
    made.add_argument("names", nargs="*", metavar=what, help="which ones: names, systems or globs of them. Default: all")
    made.add_argument("--quick", action="store_true", help="only those that have a short form, in that form: seconds each")
    made.add_argument("--device", choices=["cpu", "cuda"], default="cpu", help="where to run. Default: cpu")
    made.add_argument("--list", action="store_true", help="list them and exit, running nothing")
    made.add_argument(
        "--records", metavar="FILE", help="write what was found to FILE (JSON lines); `python -m reports` renders it"
    )
    return made


def selected(names: Sequence[str], known: Mapping[str, AnySubject]) -> list[AnySubject]:
    """What ``names`` select of ``known``, in its order. ValueError names one that selects nothing."""
    chosen: set[str] = set()
    for name in names or ["*"]:
        found = {id_ for id_, each in known.items() if fnmatch.fnmatchcase(id_.lower(), name.lower()) or each.system == name}
        if names and not found and name not in {system.name for system in SYSTEMS}:
            raise ValueError(f"{name!r} selects nothing; expected a system, or a glob over {', '.join(known) or 'none'}")
        chosen |= found
    return [each for id_, each in known.items() if id_ in chosen]


def carry_out(
    command: str,
    options: argparse.Namespace,
    names: Sequence[str],
    subjects: Sequence[AnySubject],
    plan: Callable[[Sequence[AnySubject]], tuple[Sequence[Study], Sequence[Implementation]]],
    specs: Sequence[str] = (),
) -> int:
    """Select and list, or run the studies, write the records and say where they are; the command's exit code.

    ``names`` select among the subjects. ``plan`` makes studies of those, and says of which implementations; it may raise
    ValueError.
    """
    interpret_without((options.device,))
    try:
        chosen = selected(names, {each.id: each for each in subjects})
        studies, implementations = plan(chosen)
    except ValueError as error:
        print(f"python -m conformance.studies.{command}: {error}", file=sys.stderr)
        return BAD_INPUT
    if options.list:
        width = max((len(each.id) for each in chosen), default=0)
        print("\n".join(f"{each.id:<{width}}  {each.summary}" for each in chosen))
        return DONE
    began = header.Began()
    records, interrupted = run(studies, options)
    broken = any(record.verdict == "error" for record in records)
    code = INTERRUPTED if interrupted else BROKEN if broken else DONE
    if options.records:
        asked = OptionsRecord(
            command=command,
            quick=options.quick,
            device=(options.device,),
            impl=tuple(specs),
            only=tuple(options.names),
        )
        machine = environment.describe(with_gpu=options.device == "cuda")
        head = header.header(began, environment.suite_version(), machine, asked, implementations)
        try:
            io.write(options.records, head, records, began.footer(code))
        except OSError as error:
            print(
                f"python -m conformance.studies.{command}: --records {options.records}: not written: {error}", file=sys.stderr
            )
            return BAD_INPUT
        print(f"records: {options.records}; render them with: python -m reports {options.records} -o DIR")
    return code
