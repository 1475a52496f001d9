"""Rank implementations by what the paper defines: who computes it, with what margin in one dtype, and how fast."""

from __future__ import annotations

import functools
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import IntEnum

from conformance.records.level_verdicts import ENOUGH, Conclusion, LevelVerdict, level_verdicts, levels_of
from conformance.records.schema import (
    JUDGED,
    ImplementationRecord,
    Level,
    MeasurementRecord,
    RequirementRecord,
    Verdict,
    VerdictRecord,
)
from reports.evidence import Evidence


class Status(IntEnum):
    """What the levels say together, in the order of the ranking."""

    RIGHT = 0
    BESIDE = 1
    """It computes the paper, and differs or crashes at the level of interface or robustness."""
    WRONG = 2
    CRASHES = 3
    """No wrong value of the definition was seen, but it raised where it had declared no gap."""
    PARTLY = 4
    """Less than half of the definition was decided, and all of that passed; or nothing of it, but something else."""
    NOT_JUDGED = 5


STATUS_WORDS = {
    Status.RIGHT: "computes the paper",
    Status.BESIDE: "computes the paper",
    Status.WRONG: "differs from the paper",
    Status.CRASHES: "crashes",
    Status.PARTLY: "partly judged",
    Status.NOT_JUDGED: "not judged",
}
ASIDE_WORDS, ASIDE_WRONG_WORDS = "meets its interface", "breaks its interface"
"""Of one to which nothing of the definition applies."""
AS_AUTHORS_WORDS = "differs from the paper, as the authors' code"
STATUS_OF = {
    Conclusion.DIFFERS: Status.WRONG,
    Conclusion.ERRORS: Status.CRASHES,
    Conclusion.CONFORMS: Status.RIGHT,
    Conclusion.INCONCLUSIVE: Status.PARTLY,
    Conclusion.PARTLY_JUDGED: Status.PARTLY,
    Conclusion.NOT_JUDGED: Status.NOT_JUDGED,
}
RIGHT = (Status.RIGHT, Status.BESIDE)


@dataclass(frozen=True)
class RankingRow:
    """One implementation's verdicts, summed up. ``margin`` and ``share`` are of the definition in the ranking dtype."""

    implementation: ImplementationRecord
    status: Status
    levels: tuple[LevelVerdict, ...]
    """Over all dtypes and devices, in the order of `Level`."""
    counts: dict[Verdict, int]
    dtype: str
    margin: float | None
    """The largest margin; None where nothing of the definition was decided in that dtype."""
    share: float
    """How much of the definition was decided, of all that any implementation was asked in that dtype."""
    whole: bool
    """Whether these runs asked at least half of the suite's cases: after ``--quick`` or ``-k`` nobody has a rank."""
    reason: str
    """Why it was not judged; empty where it was."""

    @property
    def words(self) -> str:
        if self.is_aside:
            return ASIDE_WRONG_WORDS if self.broken else ASIDE_WORDS
        return AS_AUTHORS_WORDS if self.as_authors else STATUS_WORDS[self.status]

    @property
    def is_aside(self) -> bool:
        """Whether nothing of the definition applies to it, and something else was judged, as of a constrained decoder."""
        return self.status is Status.PARTLY and not self.at(Level.DEFINITION).decided

    @property
    def as_authors(self) -> bool:
        return self.status is Status.WRONG and self.at(Level.DEFINITION).only_as_authors

    @property
    def is_ranked(self) -> bool:
        """Whether it is right and was judged enough in the ranking dtype."""
        return self.whole and self.status in RIGHT and self.margin is not None and self.share >= ENOUGH

    @property
    def is_ours(self) -> bool:
        return self.implementation.origin.kind == "built in"

    @property
    def broken(self) -> tuple[str, ...]:
        """Every requirement that failed or crashed, the definition's first."""
        return tuple(id_ for verdict in self.levels for id_ in verdict.broken)

    def at(self, level: Level) -> LevelVerdict:
        return next(verdict for verdict in self.levels if verdict.level is level)


@functools.lru_cache(maxsize=16)
def ranking(evidence: Evidence, system: str) -> tuple[RankingRow, ...]:
    """The ranking of one system: those with a rank by margin, then others that are right, then all others."""
    levels = levels_of(evidence.requirements_of(system))
    dtype = ranking_dtype(evidence, system)
    asked = {place for each in evidence.implementations_of(system) for place in _asked(evidence, each.name, dtype, levels)}
    found = [_row(each, evidence, levels, dtype, asked) for each in evidence.implementations_of(system)]
    if not covers(evidence, system):
        found = [replace(row, whole=False) for row in found]
    return tuple(sorted(found, key=_order))


def covers(evidence: Evidence, system: str) -> bool:
    """Whether at least half of the cases (requirement, case and dtype) that the suite has were asked in these runs."""
    results = (result for each in evidence.implementations_of(system) for result in evidence.judgements_of(each.name))
    return len({(r.requirement, r.case, r.dtype) for r in results}) >= ENOUGH * evidence.cases.get(system, 0)


def current(rows: Iterable[RankingRow], evidence: Evidence) -> list[RankingRow]:
    """Those that are no earlier release of another one: other people's first, then ours, each in the order of the ranking."""
    rows = [row for row in rows if latest_of(evidence, row.implementation) is None]
    return sorted(rows, key=lambda row: row.is_ours)


def latest_of(evidence: Evidence, each: ImplementationRecord) -> ImplementationRecord | None:
    """The later release that an earlier one is listed beside, under its name without the version; None for all others."""
    name = each.name.removesuffix(f"-{each.version}") if each.version else each.name
    same = (one for one in evidence.implementations_of(each.system) if one.name == name and one.name != each.name)
    return next((one for one in same if one.version and one.origin.distribution == each.origin.distribution), None)


def release_order(implementation: ImplementationRecord) -> list[int]:
    """A sorting key: the numbers of the version."""
    return [int(number) for number in re.findall(r"\d+", implementation.version or "")]


@functools.lru_cache(maxsize=16)
def ranking_dtype(evidence: Evidence, system: str) -> str:
    """The dtype of the ranking: one with measured speeds, then the most implementations, then verdicts; "" for texts.

    Margins are compared within one dtype, and stand beside speeds of the same. Where the result is stored in 16 bits, that one
    rounding alone brings every margin near 1, so that a worst margin over all dtypes would say little.
    """
    judged = [
        (result.dtype, implementation.name)
        for implementation in evidence.implementations_of(system)
        for result in evidence.judgements_of(implementation.name)
        if result.verdict in JUDGED
    ]
    timed = {m.dtype for m in evidence.measurements if m.system == system and m.median_s is not None}
    verdicts = Counter(dtype for dtype, _ in judged)
    implementations = Counter(dtype for dtype, _ in set(judged))

    def preference(dtype: str) -> tuple[bool, int, int, str]:
        return dtype not in timed, -implementations[dtype], -verdicts[dtype], dtype

    return min(verdicts, key=preference, default="")


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
READABLE = "reference"
"""The implementation that is written to be read: how much faster another one is says nothing."""


def fair(evidence: Evidence) -> Evidence:
    """The evidence without ratios of unlike things: of readers of two grammars, or to a readable reference."""
    grammar = {each.name: each.numerical_class for each in evidence.implementations}

    def kept(m: MeasurementRecord) -> MeasurementRecord:
        reason = ""
        if short_name(m.baseline) == READABLE:
            reason = "the baseline is the readable reference, which is not written for speed"
        elif not m.dtype and grammar.get(m.implementation) != grammar.get(m.baseline):
            reason = "it reads another grammar than the baseline"
        if not reason:
            return m
        return replace(m, baseline="", ratio=None, ratio_low=None, ratio_high=None, decision="no ratio", reason=reason)

    return replace(evidence, measurements=tuple(map(kept, evidence.measurements)))


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
    """By implementation; those that have a ratio, or where nobody has one, all."""
    again: MeasurementRecord | None
    """The baseline timed against itself."""

    @property
    def place(self) -> str:
        """``cpu, float32, cold cache, run A``."""
        return ", ".join(filter(None, (self.device, self.dtype, self.cache and f"{self.cache} cache", f"run {self.run}")))


@functools.lru_cache(maxsize=16)
def main_workload(evidence: Evidence, system: str) -> MainWorkload | None:
    """In the ranking dtype: an accelerator before the CPU, then the most that are right, then the larger amount of work.

    Only right implementations count, since nobody chooses a wrong one for its speed; where nothing was judged, all do.
    Large work comes first, since the time of small work is mostly that of the call. A cold cache comes before a warm one: it
    is what the first use of data costs.
    """
    groups: dict[tuple[str, str, str, str, str], list[MeasurementRecord]] = {}
    rows, dtype = ranking(evidence, system), ranking_dtype(evidence, system)
    judged = any(row.status is not Status.NOT_JUDGED for row in rows)
    measured = (m for m in evidence.measurements if m.system == system and m.verdict == "measured" and m.median_s)
    timed = [m for m in measured if m.dtype == dtype or not judged]
    with_ratio = [m for m in timed if m.speed is not None]
    for measurement in with_ratio or timed:
        key = (measurement.run, measurement.workload, measurement.device, measurement.dtype, measurement.cache)
        groups.setdefault(key, []).append(measurement)
    if not groups:
        return None

    right = {row.implementation.name for row in rows if row.status in RIGHT}

    def preference(key: tuple[str, str, str, str, str]) -> tuple[bool, bool, int, float, int, tuple[str, ...]]:
        names = {member.implementation for member in groups[key]}
        counted = len(names & right if right else names)
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
    """The fastest of these that are right, and those whose intervals overlap with its own.

    The fastest has the interval with the highest lower end, so that a wide interval is no advantage. One that is undecided,
    and whose own time is far behind another's, is left out: its ratio is high because the baseline was slowed beside it.
    """
    if main is None:
        return None, []
    grammar = {row.implementation.name: row.implementation.numerical_class for row in rows if row.status in RIGHT}
    measured = [m for name, m in main.measurements.items() if name in grammar]
    if not main.dtype:
        # Readers of one grammar: of texts a numerical class is a profile, and the strict one comes first.
        strictest = min((grammar[m.implementation] for m in measured), default="")
        measured = [m for m in measured if grammar[m.implementation] == strictest]
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
    """The 95 % interval of its ratio, or where there is no ratio of its rate.

    The baseline's own line may carry the interval of its A/A pair, which does not count.
    """
    if m.speed is None:
        return 1 / (m.high_s or m.median_s or math.inf), 1 / (m.low_s or m.median_s or math.inf)
    low, high = (None, None) if m.is_baseline else (m.ratio_low, m.ratio_high)
    return m.speed if low is None else low, m.speed if high is None else high


def _asked(evidence: Evidence, name: str, dtype: str, levels: dict[str, Level]) -> set[tuple[str, str]]:
    """The cases of the definition that this implementation has a record of in this dtype."""
    return {
        (result.requirement, result.case)
        for result in evidence.judgements_of(name)
        if result.dtype == dtype and levels.get(result.requirement, Level.DEFINITION) is Level.DEFINITION
    }


def _row(
    implementation: ImplementationRecord,
    evidence: Evidence,
    levels: dict[str, Level],
    dtype: str,
    asked: set[tuple[str, str]],
) -> RankingRow:
    results = evidence.judgements_of(implementation.name)
    by_level = level_verdicts(results, levels)
    of_dtype = [r for r in results if r.dtype == dtype and (r.requirement, r.case) in asked and r.verdict in JUDGED]
    status = STATUS_OF[by_level[0].conclusion]
    if status is Status.NOT_JUDGED and any(verdict.decided for verdict in by_level if verdict.decides):
        status = Status.PARTLY
    if status is Status.RIGHT and any(verdict.red for verdict in by_level if verdict.decides):
        status = Status.BESIDE
    return RankingRow(
        implementation=implementation,
        status=status,
        levels=by_level,
        counts=dict(Counter(result.verdict for result in results)),
        dtype=dtype,
        margin=max((r.margin for r in of_dtype if r.margin is not None), default=None),
        whole=True,
        share=len({(r.requirement, r.case) for r in of_dtype}) / len(asked) if asked else 0.0,
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


def _order(row: RankingRow) -> tuple[bool, Status, float, float, str]:
    status = Status.RIGHT if row.status in RIGHT else row.status
    margin = math.inf if row.margin is None else row.margin
    return not row.is_ranked, status, margin, -row.share, row.implementation.name
