"""Measure what the papers claim, and record it beside what they say.

A system's ``claims.py`` holds ``CLAIMS``: a tuple of `Claim`. ``python -m conformance.studies.claims`` runs them and writes a
record for each. A claim that does not hold here is a finding about this setting (its seeds, sizes and device are recorded),
not about the paper's own experiments. Claims are measured on the reference and on what is built in (`subject_of`); they load
nothing else, since they run in this process. ``--impl`` is refused.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from conformance.engine.harness import connect
from conformance.records.schema import Axes, ClaimRecord, Series, significant
from conformance.studies.study import BAD_INPUT, Effort, Study, carry_out, of_systems, parser, refuse_obstacle
from impls.implementation import Implementation

VERDICTS = ("holds", "does not hold", "undecided")
"""The verdicts that a measurement may give; the command adds ``not run`` and ``error``."""

ELSEWHERE = (
    "claims are measured on the reference and on what is built in; other code runs in a process of its own, under "
    "`gaugeblock check`, `gaugeblock bench` and `python -m conformance.studies.curves`"
)


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What was measured, and what it says of the claim.

    ``measured`` is a number in the claim's unit, or a few words. ``message`` is one sentence: why this verdict, and its
    limits. ``settings`` holds what is needed to repeat it: seeds, sizes, steps.
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
    """Modules that it needs; without them it is not run."""
    devices: tuple[str, ...] = ("cpu", "cuda")

    @property
    def summary(self) -> str:
        return f"{self.statement} ({self.source})"


def claims() -> tuple[Claim, ...]:
    """Every claim of every system."""
    return of_systems("claims", "CLAIMS")


def subject_of(implementation: Implementation, device: str) -> Any:
    """The subject of something that is built in. ValueError for anything else, which must not be loaded into this process."""
    if implementation.origin.kind != "built in":
        raise ValueError(f"found {implementation.name}, which is not built in; {ELSEWHERE}")
    return connect(implementation, device)


def study_of(claim: Claim, device: str) -> Study:
    """The claim as something to run."""
    blank = ClaimRecord(
        system=claim.system,
        id=claim.id,
        statement=claim.statement,
        source=claim.source,
        expected=_value(claim.expected),
        unit=claim.unit,
        verdict="not run",
        device=device,
    )

    def run(effort: Effort) -> list[ClaimRecord]:
        refuse_obstacle(claim, effort)
        finding = claim.run(effort)
        return [
            replace(
                blank,
                measured=_value(finding.measured),
                verdict=finding.verdict,
                message=finding.message,
                settings=dict(finding.settings),
                quick=effort.quick,
                series=finding.series,
                axes=finding.axes or Axes(),
            )
        ]

    return Study(claim.id, blank, run)


def _value(value: float | str) -> float | str:
    return value if isinstance(value, str) else significant(value)


def main(arguments: Sequence[str], maker: Callable[..., argparse.ArgumentParser] = argparse.ArgumentParser) -> int:
    """The command line; returns the exit code. ``maker`` makes its parser."""
    made = parser(maker, "claims", "Measure what the papers claim, and record it beside what they say.", "CLAIM")
    made.add_argument("--impl", action="append", default=[], help=argparse.SUPPRESS)  # to say why there is none
    options = made.parse_args(arguments)
    if options.impl:
        print(f"python -m conformance.studies.claims: found --impl {options.impl[0]}; {ELSEWHERE}", file=sys.stderr)
        return BAD_INPUT

    def plan(chosen: Sequence[Claim]) -> tuple[list[Study], list[Implementation]]:
        return [study_of(claim, options.device) for claim in chosen], []

    return carry_out("claims", options, options.names, claims(), plan)


if __name__ == "__main__":
    # Through the module's own name: the systems' packages import these classes from there, not from __main__.
    from conformance.studies.claims import main as run_main

    sys.exit(run_main(sys.argv[1:]))
