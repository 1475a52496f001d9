"""Rank implementations by what they passed, how near they came to failing, how much was judged, and how fast they are."""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import IntEnum

from conformance.records.schema import (
    JUDGED,
    ImplementationRecord,
    MeasurementRecord,
    RequirementRecord,
    Verdict,
    VerdictRecord,
)
from reports.evidence import Evidence


class Status(IntEnum):
    """In the order of the ranking."""

    CONFORMS = 0
    FAILS = 1
    CRASHES = 2
    """No wrong value was seen, but it raised where it had declared no gap."""
    NOT_JUDGED = 3


STATUS_WORDS = {
    Status.CONFORMS: "conforms",
    Status.FAILS: "does not conform",
    Status.CRASHES: "crashes",
    Status.NOT_JUDGED: "not judged",
}


@dataclass(frozen=True)
class RankingRow:
    """One implementation's verdicts, summed up."""

    implementation: ImplementationRecord
    status: Status
    counts: dict[Verdict, int]
    worst: VerdictRecord | None
    """The passed or failed case with the largest margin."""
    ranked: VerdictRecord | None
    """The same within the dtype that implementations are ranked in; of one that fails, or has no case there, `worst`."""
    judged_cases: int
    all_cases: int
    failing: tuple[str, ...]
    crashing: tuple[str, ...]
    reason: str
    """Why it was not judged; empty where it was."""

    @property
    def margin(self) -> float | None:
        return None if self.worst is None else self.worst.margin

    @property
    def ranked_margin(self) -> float | None:
        return None if self.ranked is None else self.ranked.margin


@functools.lru_cache(maxsize=16)
def ranking(evidence: Evidence, system: str) -> tuple[RankingRow, ...]:
    """The ranking of one system: conforming first, then by worst margin in the ranking dtype, then by name."""
    implementations = evidence.implementations_of(system)
    asked = {_case(result) for each in implementations for result in evidence.judgements_of(each.name)}
    # A quick run, or one of a single requirement, has not covered the suite, although it ran all of its few cases.
    all_cases = max(len(asked), evidence.cases.get(system, 0))
    dtype = ranking_dtype(evidence, system)
    found = [_row(implementation, evidence, all_cases, dtype) for implementation in implementations]
    return tuple(sorted(found, key=_order))


@functools.lru_cache(maxsize=16)
def ranking_dtype(evidence: Evidence, system: str) -> str:
    """The dtype that the most implementations were judged in, then the one with the most verdicts; "" for texts.

    Margins are compared within one dtype. Where the result is stored in 16 bits, that one rounding alone brings every margin
    near 1, so that a worst margin over all dtypes would say little.
    """
    judged = [
        (result.dtype, implementation.name)
        for implementation in evidence.implementations_of(system)
        for result in evidence.judgements_of(implementation.name)
        if result.verdict in JUDGED
    ]
    verdicts = Counter(dtype for dtype, _ in judged)
    implementations = Counter(dtype for dtype, _ in set(judged))
    return min(verdicts, key=lambda dtype: (-implementations[dtype], -verdicts[dtype], dtype), default="")


def worst_first(result: VerdictRecord) -> tuple[float, bool, str, str, str]:
    """A sorting key: the largest margin first, then a fixed order among equals (quick to read: the shorter case first)."""
    margin = -1.0 if result.margin is None else result.margin
    return (-margin, result.quantity == "", result.case, result.dtype, result.device)


def of_requirement(results: Iterable[VerdictRecord], requirement: str) -> list[VerdictRecord]:
    return [result for result in results if result.requirement == requirement]


def requirement_named(evidence: Evidence, system: str, id_: str) -> RequirementRecord:
    """The requirement of that id; one that the header does not list has no statement."""
    unknown = RequirementRecord(system=system, id=id_, statement="(no statement in the records)", source="", catches="")
    return next((each for each in evidence.requirements_of(system) if each.id == id_), unknown)


def short_name(implementation: str) -> str:
    """The name without its system."""
    return implementation.partition("/")[2] or implementation


CACHES = ("cold", "warm")
"""In the order in which they are shown."""


@dataclass(frozen=True)
class MainWorkload:
    """The workload that the ranking and the chart compare speeds on."""

    run: str
    workload: str
    device: str
    dtype: str
    cache: str
    baseline: str
    measurements: dict[str, MeasurementRecord]
    """By implementation; measured ones only."""
    again: MeasurementRecord | None
    """The baseline timed against itself."""

    @property
    def place(self) -> str:
        """``cpu, float32, cold cache, run A``."""
        return ", ".join(filter(None, (self.device, self.dtype, self.cache and f"{self.cache} cache", f"run {self.run}")))


@functools.lru_cache(maxsize=16)
def main_workload(evidence: Evidence, system: str) -> MainWorkload | None:
    """An accelerator before the CPU, then the one with the most implementations that conform, then the larger amount of work.

    Only conforming implementations count, since nobody chooses a wrong one for its speed; where nothing was judged, all do.
    Large work comes first, since the time of small work is mostly that of the call. A cold cache comes before a warm one: it
    is what the first use of data costs.
    """
    groups: dict[tuple[str, str, str, str, str], list[MeasurementRecord]] = {}
    for measurement in evidence.measurements:
        if measurement.system == system and measurement.speed is not None:
            key = (measurement.run, measurement.workload, measurement.device, measurement.dtype, measurement.cache)
            groups.setdefault(key, []).append(measurement)
    if not groups:
        return None

    conforming = {row.implementation.name for row in ranking(evidence, system) if row.status is Status.CONFORMS}

    def preference(key: tuple[str, str, str, str, str]) -> tuple[bool, bool, int, float, int, tuple[str, ...]]:
        names = {member.implementation for member in groups[key]}
        counted = len(names & conforming if conforming else names)
        amount = max(member.amount for member in groups[key])
        return len(names) < 2, key[2] == "cpu", -counted, -amount, cache_order(key[4]), key

    best = min(groups, key=preference)
    members = groups[best]
    return MainWorkload(
        *best,
        baseline=min((member.baseline for member in members if member.baseline), default=""),
        # The baseline's own line may be its A/A pair; one that is not is preferred.
        measurements={member.implementation: member for member in sorted(members, key=lambda member: not member.again)},
        again=next((member for member in members if member.again), None),
    )


def cache_order(cache: str) -> int:
    """Cold before warm before what does not tell."""
    return CACHES.index(cache) if cache in CACHES else len(CACHES)


def fastest(rows: Sequence[RankingRow], main: MainWorkload | None) -> tuple[MeasurementRecord | None, list[MeasurementRecord]]:
    """The fastest conforming implementation, and those whose intervals overlap with its own.

    The fastest has the interval with the highest lower end, so that a wide interval is no advantage. One that is undecided,
    and whose own time is far behind another's, is left out: its ratio is high because the baseline was slowed beside it.
    """
    if main is None:
        return None, []
    conforming = {row.implementation.name for row in rows if row.status is Status.CONFORMS}
    measured = [m for name, m in main.measurements.items() if name in conforming and m.speed is not None]
    timed = [r for r in measured if r.decision != "undecided" or not any(_far_behind(r, other) for other in measured)]
    timed.sort(key=lambda m: (-_interval(m)[0], m.implementation))
    if not timed:
        return None, []
    first, *others = timed
    return first, [m for m in others if _interval(m)[1] >= _interval(first)[0] and not _far_behind(m, first)]


CERTAINLY_SLOWER = 2.0


def _far_behind(row: MeasurementRecord, first: MeasurementRecord) -> bool:
    """Whether its own time is so much longer that it is slower, however wide the interval of its ratio is."""
    return row.low_s is not None and first.high_s is not None and row.low_s > CERTAINLY_SLOWER * first.high_s


def _interval(m: MeasurementRecord) -> tuple[float, float]:
    """The 95 % interval of its ratio; the baseline's own line may carry that of its A/A pair, which does not count."""
    low, high = (None, None) if m.is_baseline else (m.ratio_low, m.ratio_high)
    return (m.speed or 0.0) if low is None else low, (m.speed or 0.0) if high is None else high


def _case(result: VerdictRecord) -> tuple[str, str, str]:
    return result.requirement, result.case, result.dtype


def _row(implementation: ImplementationRecord, evidence: Evidence, all_cases: int, dtype: str) -> RankingRow:
    results = evidence.judgements_of(implementation.name)
    counted = Counter(result.verdict for result in results)
    measured = [result for result in results if result.margin is not None and result.verdict in JUDGED]
    failing = tuple(sorted({j.requirement for j in results if j.verdict is Verdict.FAIL}))
    crashing = tuple(sorted({j.requirement for j in results if j.verdict is Verdict.ERROR}))
    grounds = {Status.FAILS: failing, Status.CRASHES: crashing, Status.CONFORMS: counted[Verdict.PASS]}
    status = next((status for status, found in grounds.items() if found), Status.NOT_JUDGED)
    worst = min(measured, key=worst_first, default=None)
    in_dtype = [] if failing else [result for result in measured if result.dtype == dtype]
    return RankingRow(
        implementation=implementation,
        status=status,
        counts={verdict: counted[verdict] for verdict in Verdict},
        worst=worst,
        ranked=min(in_dtype, key=worst_first, default=worst),
        judged_cases=len({_case(result) for result in results if result.verdict in JUDGED}),
        all_cases=all_cases,
        failing=failing,
        crashing=crashing,
        reason=_reason(implementation, results) if status is Status.NOT_JUDGED else "",
    )


def _reason(implementation: ImplementationRecord, results: tuple[VerdictRecord, ...]) -> str:
    if not results:
        missing = ", ".join(implementation.missing)
        return f"not installed: {missing}" if missing else "it was listed, but not tested on any case"
    messages = Counter(result.message for result in results if result.message)
    if not messages:
        gaps = all(result.verdict is Verdict.UNSUPPORTED for result in results)
        return "every case is a gap that it declares" if gaps else "no reason was recorded"
    top = max(messages.values())
    return min(message for message, number in messages.items() if number == top)


def _order(row: RankingRow) -> tuple[Status, float, int, str]:
    margin = math.inf if row.ranked_margin is None else row.ranked_margin
    return row.status, margin, -row.judged_cases, row.implementation.name
