"""What a report is rendered from: the records of all its files, merged."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from conformance.benchmark.statistics import decide
from conformance.records.schema import (
    ClaimRecord,
    CurveRecord,
    FooterRecord,
    HeaderRecord,
    ImplementationRecord,
    MeasurementRecord,
    MutantRecord,
    RequirementRecord,
    SystemRecord,
    VerdictRecord,
)


@dataclass(frozen=True)
class Source:
    """One record file: ``label`` (A, B, ...) is what the page calls it."""

    label: str
    name: str
    """The base name of the file. Its folder is private."""
    header: HeaderRecord
    footer: FooterRecord
    line_counts: dict[str, int]

    @property
    def digest(self) -> str:
        """SHA-256 of everything before the footer, as the footer states it; empty where the run was cut short."""
        return self.footer.sha256


@dataclass(frozen=True)
class Evidence:
    """Everything the page is rendered from, in an order that depends on the records' content alone."""

    suite: str
    sources: tuple[Source, ...]
    systems: tuple[SystemRecord, ...]
    requirements: tuple[RequirementRecord, ...]
    implementations: tuple[ImplementationRecord, ...]
    results: tuple[VerdictRecord, ...]
    mutants: tuple[MutantRecord, ...]
    measurements: tuple[MeasurementRecord, ...]
    claims: tuple[ClaimRecord, ...] = ()
    curves: tuple[CurveRecord, ...] = ()
    by_implementation: dict[str, tuple[VerdictRecord, ...]] = field(default_factory=dict)
    cases: dict[str, int] = field(default_factory=dict)
    """How many cases (requirement, case and dtype) the suite has for each system, as the headers say."""

    def __hash__(self) -> int:
        """By the files that it was merged from, so that functions of the evidence can be cached."""
        return hash((self.suite, tuple(source.digest for source in self.sources)))

    def judgements_of(self, implementation: str) -> tuple[VerdictRecord, ...]:
        return self.by_implementation.get(implementation, ())

    def implementations_of(self, system: str) -> list[ImplementationRecord]:
        return [implementation for implementation in self.implementations if implementation.system == system]

    def requirements_of(self, system: str) -> list[RequirementRecord]:
        return [requirement for requirement in self.requirements if requirement.system == system]


def is_noisy(pair: MeasurementRecord) -> bool:
    """Whether this A/A pair shows a difference, by the rule for all pairs, though there is none."""
    if not pair.again or pair.ratio_low is None or pair.ratio_high is None:
        return False
    return decide(pair.ratio_low, pair.ratio_high) in ("faster", "slower")


def natural(text: str) -> list[tuple[int, str]]:
    """A sorting key by which C2 comes before C10."""
    return [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"([0-9]+)", text)]
