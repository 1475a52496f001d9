"""Measure how something grows along an axis for each implementation, such as the error with the length.

A system's ``curves.py`` holds ``CURVES``: a tuple of `Curve`. ``python -m conformance.studies.curves`` follows each one for
every selected implementation and writes a record for each trace; the report draws those of one name into one plot. What is not
built in runs in a process of its own, as in a test of conformance.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.engine import runner
from conformance.engine.child import is_possible
from conformance.engine.discovery import described, select
from conformance.engine.isolation import process_state_of
from conformance.engine.remote_subject import Isolated
from conformance.records.schema import Axes, CurveRecord
from conformance.studies.study import Effort, Study, carry_out, of_systems, parser, refuse_obstacle
from impls.implementation import Implementation


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One implementation along the axis, in one dtype."""

    x: Sequence[float]
    y: Sequence[float]
    low: Sequence[float] | None = None
    high: Sequence[float] | None = None
    dtype: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Curve:
    """``run`` follows it for one implementation and gives a trace, in one dtype or more.

    It may raise `Unsupported` and `NotRun` of impls.implementation. ``quick`` says that `Effort.quick` makes it take seconds.
    """

    name: str
    """Words joined by hyphens, such as ``error-against-length``; with its system it is unique."""
    system: str
    title: str
    axes: Axes
    run: Callable[[Implementation, Effort], Trace | Iterable[Trace]]
    quick: bool = False
    needs: tuple[str, ...] = ()
    devices: tuple[str, ...] = ("cpu", "cuda")

    @property
    def id(self) -> str:
        """What the command line calls it."""
        return f"{self.system}/{self.name}"

    @property
    def summary(self) -> str:
        return self.title


def curves() -> tuple[Curve, ...]:
    """Every curve of every system."""
    return of_systems("curves", "CURVES")


def study_of(curve: Curve, implementation: Implementation, device: str) -> Study:
    """One curve of one implementation as something to run."""
    blank = CurveRecord(
        system=curve.system,
        implementation=implementation.name,
        name=curve.name,
        title=curve.title,
        verdict="not run",
        device=device,
        axes=curve.axes,
    )

    def run(effort: Effort) -> list[CurveRecord]:
        refuse_obstacle(curve, effort)
        hindrance = runner.obstacle(implementation, effort.device, "", frozenset(), effort.quick)
        if hindrance is not None:
            raise hindrance
        with process_state_of(implementation.selector):
            found = curve.run(implementation, effort)
            traces = [found] if isinstance(found, Trace) else list(found)
        if not traces:
            raise AssertionError("the curve has no trace; expected one, or Unsupported with the reason")
        return [
            replace(
                blank,
                verdict="measured",
                quick=effort.quick,
                x=tuple(trace.x),
                y=tuple(trace.y),
                low=tuple(trace.low or ()),
                high=tuple(trace.high or ()),
                dtype=trace.dtype,
                settings=dict(trace.settings),
            )
            for trace in traces
        ]

    return Study(f"{curve.id} {implementation.name.partition('/')[2]}", blank, run)


def main(arguments: Sequence[str], maker: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> int:
    """The command line; returns the exit code. ``maker`` makes its parser."""
    made = parser(maker, "curves", "Follow curves, such as error against length, and record them for the report.", "CURVE")
    made.add_argument(
        "--impl",
        action="append",
        default=[],
        metavar="SPEC",
        help="for which implementations; as for pytest. Default: all listed",
    )
    made.add_argument(
        "--in-process", action="store_true", help="run what is not built in within this process, for a debugger; as for pytest"
    )
    options = made.parse_args(arguments)
    apart = is_possible() and not options.in_process
    isolated, known = Isolated(), curves()
    names = [_whole(name, known) for name in options.names]

    def plan(chosen: Sequence[Curve]) -> tuple[list[Study], list[Implementation]]:
        selection = select(options.impl, isolated.describe if apart else described)
        if selection.failures:
            raise ValueError("; ".join(f"--impl {failure.spec}: {failure.message}" for failure in selection.failures))
        own = {curve.system for curve in chosen}
        implementations = [each for each in selection.implementations if each.system in own]
        if apart:
            isolated.keep_apart(implementations)
        pairs = [(curve, each) for curve in chosen for each in implementations if each.system == curve.system]
        return [study_of(curve, each, options.device) for curve, each in pairs], implementations

    try:
        return carry_out("curves", options, names, known, plan, options.impl)
    finally:
        isolated.close()


def _whole(name: str, known: Sequence[Curve]) -> str:
    """A name without its system means that curve of every system."""
    return name if "/" in name or name in {curve.system for curve in known} else f"*/{name}"


if __name__ == "__main__":
    # Through the module's own name: the systems' packages import these classes from there, not from __main__.
    from conformance.studies.curves import main as run_main

    sys.exit(run_main(sys.argv[1:]))
