"""What the papers say can be measured is measured, and stands in the report beside what was said.

A system's ``claims.py`` holds ``CLAIMS``: a tuple of `Claim`. ``python -m conformance.studies.claims`` runs them and writes a
record
line for each. A claim that does not hold here is a finding about this setting (its seeds, sizes and device are recorded), not
about the paper's own experiments.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from conformance.studies.study import (
    BAD_INPUT,
    Axes,
    Effort,
    Series,
    Study,
    carry_out,
    in_rooms,
    listing,
    number,
    obstacle,
    selected,
)
from conformance.studies.study import parser as parser_of
from impls.triton_support import interpret_without

VERDICTS = ("holds", "does not hold", "undecided")
"""What a measurement may say of a claim; ``not run`` and ``error`` are said by the command."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured, and what it says of the claim.

    ``measured`` is a number in the claim's unit, or a few words. ``message`` is one sentence: why this verdict, and where it
    stops. ``settings`` holds what somebody needs to do it again: seeds, sizes, steps.
    """

    measured: float | str
    verdict: str
    message: str
    series: tuple[Series, ...] = ()
    axes: Axes | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise ValueError(f"verdict is {self.verdict!r}; expected one of {', '.join(VERDICTS)}")
        if self.series and self.axes is None:
            raise ValueError("found series without axes; expected Axes that name what is plotted")


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One measurable sentence of a paper.

    ``expected`` is what the paper says, as a number in ``unit`` or in a few words. ``run`` measures it; it may raise `NotRun`
    and `Unsupported` of impls.implementation. ``quick`` says that `Effort.quick` makes it take seconds.
    """

    id: str
    system: str
    statement: str
    source: str
    expected: float | str
    unit: str = ""
    run: Callable[[Effort], Finding]
    quick: bool = False
    needs: tuple[str, ...] = ()
    """Modules without which it is not run."""
    devices: tuple[str, ...] = ("cpu", "cuda")


def claims() -> tuple[Claim, ...]:
    """Every claim of every room."""
    return in_rooms("claims", "CLAIMS")


def study_of(claim: Claim, device: str) -> Study:
    """The claim as something to run; its record line is the same whatever comes of it, but for what was found."""
    begin: dict[str, Any] = {
        "record": "claim",
        "system": claim.system,
        "id": claim.id,
        "statement": claim.statement,
        "source": claim.source,
        "expected": _value(claim.expected),
        "measured": None,
        "unit": claim.unit,
        "verdict": "not run",
        "message": "",
        "seconds": 0.0,
        "settings": {},
        "device": device,
        "quick": False,
        "series": [],
        "axes": None,
    }

    def finish(effort: Effort) -> dict[str, Any]:
        hindrance = obstacle(claim.needs, claim.devices, effort, claim.quick)
        if hindrance is not None:
            raise hindrance
        finding = claim.run(effort)
        return {
            "measured": _value(finding.measured),
            "verdict": finding.verdict,
            "message": finding.message,
            "settings": dict(finding.settings),
            "quick": effort.quick,
            "series": [series.to_json() for series in finding.series],
            "axes": finding.axes and finding.axes.to_json(),
        }

    return Study(claim.id, begin, finish)


def _value(value: float | str) -> float | str:
    return value if isinstance(value, str) else number(value)


def main(arguments: Sequence[str]) -> int:
    """The command line; returns the exit code."""
    options = parser_of("claims", "Measure what the papers claim, and record it beside what they say.", "CLAIM").parse_args(
        arguments
    )
    interpret_without((options.device,))
    known = {claim.id: claim for claim in claims()}
    try:
        chosen = [known[id_] for id_ in selected(options.names, {id_: claim.system for id_, claim in known.items()})]
    except ValueError as error:
        print(f"python -m conformance.studies.claims: {error}", file=sys.stderr)
        return BAD_INPUT
    if options.list:
        print("\n".join(listing([(claim.id, f"{claim.statement} ({claim.source})") for claim in chosen])))
        return 0
    return carry_out("claims", options, [study_of(claim, options.device) for claim in chosen])


if __name__ == "__main__":
    # Through the module's own name: the rooms import these classes from there, not from __main__.
    from conformance.studies.claims import main as run_main

    sys.exit(run_main(sys.argv[1:]))
