"""The suite's pytest options: declare them, check them, and read them into plain objects."""

from __future__ import annotations

from pathlib import Path

import pytest

from conformance.benchmark import workload_file
from conformance.engine.child import is_possible
from conformance.engine.confinement import KINDS, Confinement
from conformance.engine.declarations import DEVICES, DTYPES
from conformance.engine.selection import Options
from conformance.records.claim import PREVIOUS
from conformance.records.schema import Level


def add_options(parser: pytest.Parser) -> None:
    """Declare the suite's options, in a group of their own."""
    group = parser.getgroup("gaugeblock", "Gaugeblock: conformance and speed of published systems")
    group.addoption(
        "--impl",
        action="append",
        default=[],
        metavar="SPEC",
        help="what to test; repeatable. A listed name or glob ('ademamix/*', triton), 'built-in', 'peers', 'installed', or a "
        "plug: package.module:attribute, path/to/file.py:attribute, 'cmd:COMMAND'; SYSTEM= may stand before a plug. "
        "Default: all that is listed",
    )
    group.addoption(
        "--device",
        action="append",
        choices=DEVICES,
        default=[],
        help="where to test; ptx: see docs/ptx.md",
    )
    group.addoption("--dtype", action="append", choices=DTYPES, default=[], help="only it; repeatable")
    group.addoption(
        "--level",
        action="append",
        choices=[level.value for level in Level],
        default=[],
        help="only its requirements; repeatable ('reading' fails no run)",
    )
    group.addoption(
        "--quick",
        action="store_true",
        help="few cases and workloads; nothing that has to compile first",
    )
    group.addoption(
        "--thorough",
        action="store_true",
        help="also long cases; with --benchmark-only every workload",
    )
    group.addoption("--workloads", metavar="FILE", default="", help="measure the workloads of FILE (JSON), not those listed")
    group.addoption("--records", metavar="FILE", help="write verdicts and measurements to FILE (JSON lines)")
    group.addoption("--xfails", metavar="FILE", help="known failures: REQUIREMENT [IMPLEMENTATION [CASE]] a line")
    group.addoption("--strict-xfails", action="store_true", help="fail where a line of --xfails matched no failure")
    group.addoption(
        "--against",
        action="append",
        default=[],
        metavar="RECORDS",
        help="an earlier run; repeatable. A loss since fails the run",
    )
    group.addoption(
        "--in-process",
        action="store_true",
        help="for a debugger: all in the suite's own process",
    )
    group.addoption(
        "--timed-apart",
        action="store_true",
        help="time from outside of its process",
    )
    group.addoption("--sustained", action="store_true", help="time a GPU that has been busy with the same work")
    group.addoption(
        "--confine",
        metavar="WORDS",
        default="",
        help=f"confine what is not built in, by some of {','.join(KINDS)}",
    )
    group.addoption("--list-impls", action="store_true", help="list the implementations and exit, importing none of them")


def check_options(config: pytest.Config) -> None:
    """UsageError where options contradict each other or a file name is missing."""
    if config.getoption("--quick") and config.getoption("--thorough"):
        raise pytest.UsageError("found both --quick and --thorough; expected one of them, or neither")
    _check_devices(config, options_of(config).devices)
    for name in ("--records", "--xfails"):
        if config.getoption(name) == "":
            raise pytest.UsageError(f"{name}: found no name, expected that of a file: {name}=FILE")
    if (file := config.getoption("--workloads")) and not measures_only(config):
        raise pytest.UsageError("--workloads: found it without --benchmark-only; expected both: a workload is measured")
    if file:
        try:
            workload_file.read(file)
        except workload_file.BadWorkloads as error:
            raise pytest.UsageError(f"--workloads: {error}") from None
    confinement_of(config)
    if config.getoption("--strict-xfails") and not config.getoption("--xfails"):
        raise pytest.UsageError("--strict-xfails: found no --xfails, expected --xfails=FILE, whose lines it is about")


def _check_devices(config: pytest.Config, devices: tuple[str, ...]) -> None:
    if "ptx" in devices and len(devices) > 1:
        raise pytest.UsageError("--device: found ptx beside others; it compiles what they interpret, so it needs its own run")
    if "ptx" in devices and measures_only(config):
        raise pytest.UsageError("--device ptx: found --benchmark-only; the speed of executed PTX means nothing")
    if config.getoption("--sustained") and devices != ("cuda",):
        raise pytest.UsageError(f"--sustained: found --device {' '.join(devices)}, expected cuda; a CPU is timed as it is")
    if config.getoption("--sustained") and config.getoption("--timed-apart"):
        raise pytest.UsageError("found both --sustained and --timed-apart; expected one of them, or neither")


def options_of(config: pytest.Config) -> Options:
    """Which cases this run was asked for."""
    return Options(
        devices=tuple(dict.fromkeys(config.getoption("--device"))) or ("cpu",),
        dtypes=tuple(config.getoption("--dtype")),
        quick=config.getoption("--quick"),
        thorough=config.getoption("--thorough"),
        workloads=config.getoption("--workloads"),
    )


def levels_of(config: pytest.Config) -> tuple[Level, ...]:
    """The levels whose requirements are tested: those of --level, else all."""
    return tuple(level for level in Level if level.value in config.getoption("--level")) or tuple(Level)


def deciding_levels(config: pytest.Config) -> tuple[Level, ...]:
    """The levels whose failures fail the run: those of --level, else all on which the paper is not silent."""
    return levels_of(config) if config.getoption("--level") else tuple(x for x in Level if x is not Level.READING)


def measures_only(config: pytest.Config) -> bool:
    """Whether this run measures speed instead of testing conformance."""
    return bool(config.getoption("--benchmark-only", default=False))


def isolates(config: pytest.Config) -> bool:
    """Whether what is not built in has processes of its own: unless that is forbidden, or it cannot be.

    Where speed is measured, only --timed-apart gives it one.
    """
    on_the_clock = measures_only(config) and not config.getoption("--timed-apart")
    return is_possible() and not (config.getoption("--in-process") or on_the_clock)


def confinement_of(config: pytest.Config) -> Confinement:
    """What --confine asks for; UsageError where it is no such word, or cannot be done here."""
    words = [word for word in config.getoption("--confine").split(",") if word]
    wrong = [word for word in words if word not in KINDS]
    if wrong:
        raise pytest.UsageError(f"--confine: found {', '.join(wrong)}, expected words among {', '.join(KINDS)}")
    if words and not isolates(config):
        raise pytest.UsageError(
            "--confine: nothing runs in a process of its own under --in-process, or in a benchmark without --timed-apart"
        )
    target = records_target(config)
    hidden = (target, target.with_name(target.name + PREVIOUS)) if target else ()
    confinement = Confinement(frozenset(words), hidden)
    if not config.option.collectonly and (obstacle := confinement.obstacle()):
        raise pytest.UsageError(f"--confine: {obstacle}")
    return confinement


def records_target(config: pytest.Config) -> Path | None:
    """The absolute path that --records names; UsageError where something other than a regular file is there."""
    named = config.getoption("--records")
    if not named:
        return None
    path = Path(named).absolute()
    if path.exists() and not path.is_file():
        found = "a folder" if path.is_dir() else "something that is no regular file"
        raise pytest.UsageError(f"--records {named}: found {found}, expected the name of a file to write")
    return path
