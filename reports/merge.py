"""Merge record files of one suite version into one body of evidence, or refuse them with the file and the reason.

The order in which the files are given never matters: runs are sorted by when they started, and where two runs say the
same about the same thing, the worse margin counts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from conformance.records.fields import RecordError
from conformance.records.io import KINDS, Run, dump, read, refuse_other_suites
from conformance.records.schema import (
    ClaimRecord,
    CurveRecord,
    ImplementationRecord,
    MeasurementRecord,
    MutantRecord,
    RequirementRecord,
    SystemRecord,
    Verdict,
    VerdictRecord,
)
from reports import declared
from reports.evidence import Evidence, Source, natural

Study = TypeVar("Study", ClaimRecord, CurveRecord)


def load(paths: Sequence[str | Path], *, partial: bool = False) -> Evidence:
    """Read and merge record files. RecordError names the file and what is wrong with it.

    ``partial``: those of runs that were cut short too, as far as they go.
    """
    if not paths:
        raise RecordError("no record file given; expected at least one, written by `pytest conformance --records=FILE`")
    return merge([(Path(path).name, read(path, partial=partial)) for path in paths])


def merge(runs: Iterable[tuple[str, Run]]) -> Evidence:
    """Merge runs, each under its file's base name. RecordError says which two do not belong together, and why."""
    unique: dict[str, tuple[str, Run]] = {}
    for name, run in sorted(runs, key=lambda item: item[0]):
        # The same file given twice, under whatever names, is one run.
        unique.setdefault(run.footer.sha256 or name, (name, run))
    ordered = sorted(unique.values(), key=lambda item: (item[1].header.started, item[1].footer.sha256))
    refuse_other_suites(ordered)
    merger = _Merger()
    sources = []
    for label, (name, run) in zip(_labels(), ordered, strict=False):
        merger.add(label, name, run)
        counts = {kind: sum(kind == record.KIND for record in run.records) for kind in KINDS}
        sources.append(Source(label, name, run.header, run.footer, counts))
    return merger.evidence(ordered[0][1].header.suite, tuple(sources))


def _labels() -> Iterable[str]:
    """A, B, ..., Z, A2, B2, ..."""
    for turn in range(1, 1000):
        for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ":
            yield letter if turn == 1 else f"{letter}{turn}"


class _Merger:
    """Gathers run after run; every table remembers which file said a thing first, for the refusals."""

    def __init__(self) -> None:
        self.systems: dict[str, SystemRecord] = {}
        self.requirements: dict[tuple[str, str], RequirementRecord] = {}
        self.implementations: dict[str, tuple[ImplementationRecord, str]] = {}
        self.results: dict[tuple[str, ...], tuple[VerdictRecord, str]] = {}
        self.mutants: dict[tuple[str, str], tuple[MutantRecord, str]] = {}
        self.measurements: list[MeasurementRecord] = []
        self.claims: list[ClaimRecord] = []
        self.curves: list[CurveRecord] = []
        self.cases: dict[str, int] = {}
        self._lines: dict[str, str] = {}

    def add(self, label: str, name: str, run: Run) -> None:
        for system in run.header.systems:
            self.systems.setdefault(system.name, system)
        for requirement in run.header.requirements:
            key = (requirement.system, requirement.id)
            # A file from before levels says nothing of them.
            if key not in self.requirements or self.requirements[key].level is None:
                self.requirements[key] = requirement
        for implementation in run.header.implementations:
            self._add_implementation(implementation, name)
        self.cases |= run.header.cases
        for result in run.of(VerdictRecord):
            self._add_result(result, name)
        for mutant in run.of(MutantRecord):
            self._add_mutant(mutant, name)
        for measurement in run.of(MeasurementRecord):
            # The same samples in two files, a part and the whole that it was merged into, are one measurement.
            if self._lines.setdefault(dump(measurement.to_json()), label) == label:
                self.measurements.append(replace(measurement, run=label))
        self.claims += [replace(claim, run=label) for claim in run.of(ClaimRecord)]
        self.curves += [replace(curve, run=label) for curve in run.of(CurveRecord)]

    def _add_implementation(self, new: ImplementationRecord, name: str) -> None:
        known, first = self.implementations.setdefault(new.name, (new, name))
        if known.version is not None and new.version is not None and known.version != new.version:
            raise RecordError(
                f"{name}: {new.name} is version {new.version} here and {known.version} in {first}; "
                f"one column cannot stand for both, so render the two files apart"
            )
        if known.numerical_class != new.numerical_class:
            raise RecordError(
                f"{name}: {new.name} declares the numerical class {new.numerical_class or 'strict'!r} here and "
                f"{known.numerical_class or 'strict'!r} in {first}; margins of two classes cannot share a column"
            )
        # The run that had it installed describes it best. Otherwise any choice will do that does not depend on the order.
        self.implementations[new.name] = min(
            (known, first), (new, name), key=lambda item: (len(item[0].missing), item[0].version is None, repr(item[0]))
        )

    def _add_result(self, new: VerdictRecord, name: str) -> None:
        known, first = self.results.setdefault(new.key, (new, name))
        if known.verdict is not new.verdict and Verdict.NOT_RUN not in (known.verdict, new.verdict):
            if name == first:
                raise RecordError(
                    f"{name}: holds two verdicts on {new.implementation} for {new.requirement} {new.case}: "
                    f"{known.verdict.value!r} and {new.verdict.value!r}; run it again"
                )
            where = ", ".join(part for part in (new.case, new.dtype, new.device) if part)
            raise RecordError(
                f"{name}: {new.implementation} on {new.requirement} ({where}) is {new.verdict.value!r} here and "
                f"{known.verdict.value!r} in {first}; one of the two machines or versions differs in what matters, "
                f"so render the two files apart"
            )
        # A verdict outweighs "not run"; of two equal verdicts the one with the larger margin is kept.
        self.results[new.key] = max((known, first), (new, name), key=lambda item: _weight(item[0]))

    def _add_mutant(self, new: MutantRecord, name: str) -> None:
        known, first = self.mutants.setdefault((new.system, new.mutant), (new, name))
        if (known.sentence, known.honest) != (new.sentence, new.honest):
            raise RecordError(
                f"{name}: its mutant {new.mutant} reads differently in {first}; render files of one suite version together"
            )
        # A quick run tests fewer cases on a mutant: the run that checked more requirements counts.
        if set(known.checked) == set(new.checked) and known.verdict != new.verdict:
            raise RecordError(
                f"{name}: the mutant {new.mutant} is {new.verdict!r} here and {known.verdict!r} in {first}; "
                f"render the two files apart"
            )
        self.mutants[new.system, new.mutant] = max(
            (known, first), (new, name), key=lambda item: (len(item[0].checked), len(item[0].killers), repr(item[0]))
        )

    def evidence(self, suite: str, sources: tuple[Source, ...]) -> Evidence:
        rank = {name: place for place, name in enumerate(self.systems)}
        last = len(rank)
        results = tuple(result for _, (result, _) in sorted(self.results.items()))
        grouped: dict[str, list[VerdictRecord]] = {}
        for result in results:
            grouped.setdefault(result.implementation, []).append(result)
        implementations = {name: known for name, (known, _) in self.implementations.items()}
        for name, own in grouped.items():
            implementations.setdefault(name, ImplementationRecord(name=name, system=own[0].system))
        return Evidence(
            suite=suite,
            sources=sources,
            systems=tuple(map(declared.system, self.systems.values())),
            requirements=tuple(
                sorted(
                    map(declared.requirement, self.requirements.values()),
                    key=lambda each: (rank.get(each.system, last), each.system, each.id),
                )
            ),
            implementations=tuple(
                sorted(
                    map(declared.implementation, implementations.values()),
                    key=lambda each: (rank.get(each.system, last), each.name),
                )
            ),
            results=results,
            mutants=tuple(mutant for _, (mutant, _) in sorted(self.mutants.items())),
            measurements=tuple(sorted(self.measurements, key=_measurement_order)),
            claims=_best(
                self.claims,
                lambda one: (one.system, one.id, one.device),
                lambda one: (one.system, natural(one.id), one.device, one.run),
            ),
            curves=_best(
                self.curves,
                lambda one: (one.system, one.name, one.device, one.implementation),
                lambda one: (one.system, one.name, one.device, one.implementation, one.dtype),
            ),
            by_implementation={name: tuple(own) for name, own in grouped.items()},
            cases=self.cases,
        )


def _weight(result: VerdictRecord) -> tuple[bool, float, str]:
    return (
        result.verdict is not Verdict.NOT_RUN,
        -1.0 if result.margin is None else result.margin,
        json.dumps(result.to_json(), sort_keys=True),
    )


def _measurement_order(measurement: MeasurementRecord) -> tuple[Any, ...]:
    speed = measurement.speed
    return (
        measurement.system,
        measurement.run,
        measurement.device,
        measurement.workload,
        measurement.dtype,
        speed is None,
        -(speed or 0.0),
        measurement.implementation,
        measurement.again,
        repr(measurement),
    )


def _best(found: Iterable[Study], key: Callable[[Study], tuple[str, ...]], order: Callable[[Study], Any]) -> tuple[Study, ...]:
    """The record that says most of each claim on each device, or of each curve of each implementation, in order.

    A measurement outweighs "not run", and a full run a quick one; two that weigh the same both stay.
    """

    def weight(one: Study) -> tuple[bool, bool]:
        return one.verdict not in ("not run", "error", "unsupported"), not one.quick

    groups: dict[tuple[str, ...], list[Study]] = {}
    for one in found:
        groups.setdefault(key(one), []).append(one)
    kept = [one for own in groups.values() for one in own if weight(one) == max(map(weight, own))]
    return tuple(sorted(kept, key=lambda one: (order(one), repr(one))))
