"""How something grows along an axis, implementation by implementation: the error against the length, say.

A system's ``curves.py`` holds ``CURVES``: a tuple of `Curve`. ``python -m conformance.studies.curves`` follows each one for
every
selected implementation and writes a record line per trace; the report draws those of one name into one plot.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.engine import runner
from conformance.engine.discovery import select
from conformance.engine.isolation import process_state_of
from conformance.studies.study import BAD_INPUT, Axes, Effort, Series, Study, carry_out, in_rooms, listing, obstacle, selected
from conformance.studies.study import parser as parser_of
from impls.implementation import Implementation
from impls.triton_support import interpret_without


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


def curves() -> tuple[Curve, ...]:
    """Every curve of every room."""
    return in_rooms("curves", "CURVES")


def study_of(curve: Curve, implementation: Implementation, device: str) -> Study:
    """One curve of one implementation as something to run."""
    begin = {
        "record": "curve",
        "system": curve.system,
        "implementation": implementation.name,
        "name": curve.name,
        "title": curve.title,
        "verdict": "not run",
        "message": "",
        "seconds": 0.0,
        "device": device,
        "quick": False,
        "axes": curve.axes.to_json(),
        "traces": [],
    }

    def finish(effort: Effort) -> dict[str, Any]:
        hindrance = obstacle(curve.needs, curve.devices, effort, curve.quick)
        hindrance = hindrance or runner.obstacle(implementation, effort.device, "", frozenset(), effort.quick)
        if hindrance is not None:
            raise hindrance
        with process_state_of(implementation.selector):
            found = curve.run(implementation, effort)
            traces = [found] if isinstance(found, Trace) else list(found)
        if not traces:
            raise AssertionError("the curve has no trace; expected one, or Unsupported with the reason")
        return {"verdict": "measured", "quick": effort.quick, "traces": [_trace(trace) for trace in traces]}

    return Study(f"{curve.id} {implementation.name.partition('/')[2]}", begin, finish)


def _trace(trace: Trace) -> dict[str, Any]:
    shape = Series(trace.dtype, trace.x, trace.y, trace.low, trace.high).to_json()
    del shape["label"]
    return {**shape, "dtype": trace.dtype, "settings": dict(trace.settings)}


def lines_of(line: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One record line per trace; one without points for a curve that has none, so that the reason is not lost."""
    rest = {key: value for key, value in line.items() if key != "traces"}
    nothing: dict[str, Any] = {"x": [], "y": [], "low": None, "high": None, "dtype": "", "settings": {}}
    return [{**rest, **trace} for trace in line["traces"] or [nothing]]


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    parser = parser_of("curves", "Follow curves, such as error against length, and record them for the report.", "CURVE")
    parser.add_argument(
        "--impl",
        action="append",
        default=[],
        metavar="SPEC",
        help="for which implementations; as for pytest. Default: all listed",
    )
    options = parser.parse_args(arguments)
    known = {curve.id: curve for curve in curves()}
    systems = {id_: curve.system for id_, curve in known.items()}
    interpret_without((options.device,))
    try:
        chosen = [known[id_] for id_ in selected(_whole(options.names, systems), systems)]
        selection = select(options.impl)
        if selection.failures:
            raise ValueError("; ".join(f"--impl {failure.spec}: {failure.message}" for failure in selection.failures))
    except ValueError as error:
        print(f"python -m conformance.studies.curves: {error}", file=sys.stderr)
        return BAD_INPUT
    if options.list:
        print("\n".join(listing([(curve.id, curve.title) for curve in chosen])))
        return 0
    own = {curve.system for curve in chosen}
    implementations = [implementation for implementation in selection.implementations if implementation.system in own]
    studies = [
        study_of(curve, implementation, options.device)
        for curve in chosen
        for implementation in implementations
        if implementation.system == curve.system
    ]
    return carry_out("curves", options, studies, implementations, options.impl, lines_of)


def _whole(names: Sequence[str], systems: Mapping[str, str]) -> list[str]:
    """A name without its system stands for that curve of every system."""
    return [f"*/{name}" if "/" not in name and name not in systems.values() else name for name in names]


if __name__ == "__main__":
    # Through the module's own name: the rooms import these classes from there, not from __main__.
    from conformance.studies.curves import main as run_main

    sys.exit(run_main(sys.argv[1:]))
