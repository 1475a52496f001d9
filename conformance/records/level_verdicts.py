"""Judge one implementation level by level: does it conform, differ, crash, or was too little of it tested to say?

>>> levels = levels_of(run.header.requirements)
>>> for each in level_verdicts(results_of_one_implementation, levels):
...     print(each.level.value, each.words())
definition differs (2 of 31 requirements), as the authors' code
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from conformance.records.schema import JUDGED, RED, Level, RequirementRecord, Verdict, VerdictRecord

ENOUGH = 0.5
"""A level conforms only where at least this share of its cases was decided."""

AS_THE_AUTHORS = "as the authors' code"
"""The words in the sentence of a mutant that does what the code published by the paper's authors does."""


class Conclusion(StrEnum):
    """What the test cases of one level say of one implementation. The first that applies, in this order."""

    DIFFERS = "differs"
    """A test case failed: what it computes differs from what is required."""
    ERRORS = "errors"
    """No test case failed, and one crashed."""
    CONFORMS = "conforms"
    """At least half of the cases were decided, and all of those passed."""
    INCONCLUSIVE = "inconclusive"
    """Too few were decided, because the bounds of others cannot tell right from wrong."""
    PARTLY_JUDGED = "partly judged"
    """Some passed, but less than half was decided: the rest is unsupported or was not run."""
    NOT_JUDGED = "not judged"
    """No case was decided: all are unsupported or were not run."""


@dataclass(frozen=True, kw_only=True)
class LevelVerdict:
    """The verdict on one implementation at one level, with what it rests on."""

    level: Level
    conclusion: Conclusion
    counts: Mapping[str, int]
    """How many test cases have each verdict, by its word."""
    cases: int
    """Cases of this level, each counted once however many dtypes and devices it was run in."""
    decided: int
    """Cases that passed, failed or crashed in some dtype."""
    requirements: int
    """Requirements of which some case was decided."""
    broken: tuple[str, ...] = ()
    """The requirements that failed or crashed in some test case, in order; the known ones too."""
    known: int = 0
    """Failures and crashes that an --xfails file lists."""
    as_authors: int = 0
    """Failures in which it does what the code published by the paper's authors does."""

    @property
    def red(self) -> int:
        """Test cases that failed or crashed."""
        return sum(self.counts.get(verdict.value, 0) for verdict in RED)

    @property
    def share(self) -> float:
        """The share of this level's cases that was decided, from 0 to 1."""
        return self.decided / self.cases if self.cases else 0.0

    @property
    def decides(self) -> bool:
        """Whether this level counts for or against an implementation. The paper is silent on readings."""
        return self.level is not Level.READING

    @property
    def only_as_authors(self) -> bool:
        """Whether all that fails does as the authors' own code, and nothing crashes."""
        return 0 < self.as_authors == self.red

    @property
    def unexpected(self) -> int:
        """Failures and crashes that count: of a level that decides, and not known."""
        return self.red - self.known if self.decides else 0

    def words(self) -> str:
        """The verdict for a reader, as ``differs (2 of 31 requirements), as the authors' code``."""
        said = self.conclusion.value
        if self.red:
            said += f" ({len(self.broken)} of {self.requirements} requirements)"
        if self.only_as_authors:
            said += f", {AS_THE_AUTHORS}"
        if self.known:
            said += ", known" if self.known == self.red else f", {self.known} of {self.red} failures known"
        if 0 < self.decided < self.cases:
            said += f"; {percent(self.share)} judged"
        return said


def percent(share: float) -> str:
    """A share in percent; never 0 % or 100 % of what is neither."""
    return f"{min(max(round(100 * share), 1), 99) if 0 < share < 1 else round(100 * share)} %"


def levels_of(requirements: Iterable[RequirementRecord]) -> dict[str, Level]:
    """The level of each requirement of a header; those of files from before levels count as the definition."""
    return {each.id: each.level or Level.DEFINITION for each in requirements}


def level_verdicts(results: Iterable[VerdictRecord], levels: Mapping[str, Level]) -> tuple[LevelVerdict, ...]:
    """The verdict on one implementation at each level, in the order of `Level`.

    ``results`` are its verdicts. To judge one dtype alone, give those of that dtype. A requirement that ``levels`` does not
    name counts as the definition. That a failure is listed as known changes no conclusion.
    """
    by_level: dict[Level, list[VerdictRecord]] = {level: [] for level in Level}
    for result in results:
        by_level[levels.get(result.requirement, Level.DEFINITION)].append(result)
    return tuple(_verdict(level, own) for level, own in by_level.items())


def is_as_authors(result: VerdictRecord) -> bool:
    """Whether a failure resembles a mutant that does what the authors' own code does."""
    return result.verdict is Verdict.FAIL and AS_THE_AUTHORS in result.resembles


def _verdict(level: Level, results: list[VerdictRecord]) -> LevelVerdict:
    counts = Counter(result.verdict.value for result in results)
    places = {(result.requirement, result.case) for result in results}
    decided = {(result.requirement, result.case) for result in results if result.verdict in JUDGED}
    unclear = {(result.requirement, result.case) for result in results if result.verdict is Verdict.INCONCLUSIVE} - decided
    red = [result for result in results if result.verdict in RED]
    return LevelVerdict(
        level=level,
        conclusion=_conclusion(counts, len(decided), len(unclear), len(places)),
        counts=dict(counts),
        cases=len(places),
        decided=len(decided),
        requirements=len({requirement for requirement, _ in decided}),
        broken=tuple(sorted({result.requirement for result in red})),
        known=sum(bool(result.known) for result in red),
        as_authors=sum(map(is_as_authors, red)),
    )


def _conclusion(counts: Mapping[str, int], decided: int, unclear: int, cases: int) -> Conclusion:
    if counts.get(Verdict.FAIL.value):
        return Conclusion.DIFFERS
    if counts.get(Verdict.ERROR.value):
        return Conclusion.ERRORS
    if decided and decided >= ENOUGH * cases:
        return Conclusion.CONFORMS
    if unclear and decided + unclear >= ENOUGH * cases:
        return Conclusion.INCONCLUSIVE
    return Conclusion.PARTLY_JUDGED if decided else Conclusion.INCONCLUSIVE if unclear else Conclusion.NOT_JUDGED
