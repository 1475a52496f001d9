"""Pair the verdicts and the speeds of two sets of runs: what ``--against`` and ``python -m reports diff`` both compare."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from conformance.records.schema import RED, MeasurementRecord, Verdict, VerdictRecord
from conformance.regression.speeds import SpeedChange, compare, speeds_of, takes_of


class VerdictChange(StrEnum):
    """How the verdict on one test case changed."""

    NONE = "none"
    LOST = "lost"
    """It passed, and now fails, crashes or is declared a gap."""
    WON = "won"
    """It failed, crashed or was declared a gap, and now passes."""
    NOT_RUN = "not run"
    """It was run, and is not run now."""
    OTHER = "other"


@dataclass(frozen=True)
class VerdictPair:
    """The verdicts on one test case, before and now."""

    before: VerdictRecord
    now: VerdictRecord

    @property
    def change(self) -> VerdictChange:
        before, now = self.before.verdict, self.now.verdict
        if before is now:
            return VerdictChange.NONE
        if now is Verdict.NOT_RUN:
            return VerdictChange.NOT_RUN
        if Verdict.INCONCLUSIVE in (before, now):
            return VerdictChange.LOST if now in RED else VerdictChange.OTHER
        if before is Verdict.PASS:
            return VerdictChange.LOST
        return VerdictChange.WON if now is Verdict.PASS and before is not Verdict.NOT_RUN else VerdictChange.OTHER


def pair_verdicts(before: Iterable[VerdictRecord], now: Iterable[VerdictRecord]) -> list[VerdictPair]:
    """Pair every test case that both sides hold, in the order of ``now``; the last of several earlier verdicts counts."""
    known = {record.key: record for record in before}
    return [VerdictPair(known[record.key], record) for record in now if record.key in known]


def compare_speeds(earlier: Sequence[Iterable[MeasurementRecord]], now: Sequence[MeasurementRecord]) -> list[SpeedChange]:
    """Compare every speed that an earlier run has too, by the rule of conformance/regression/speeds.py."""
    again = {record.key: takes_of(record) for record in now}
    return compare([speeds_of(run) for run in earlier], speeds_of(now), again)
