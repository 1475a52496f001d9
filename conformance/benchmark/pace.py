"""Fit a run into its time: how long each measurement may take, given what is gone and what is to come.

A default run of everything ends within ten minutes, one of a single implementation within two. Each measurement gets an equal
share of the time that is left, between the budgets of a quick and of a full measurement. Where time runs out all the same,
nothing more is begun.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from conformance.benchmark.cache import CONDITIONS

QUICK_BUDGET_S = 0.7
FULL_BUDGET_S = 3.0
"""Seconds of sampling for one case and state of the cache, the baseline's samples included."""
BESIDE_S = 2.0
"""Seconds of a measurement beside its sampling: preparing and verifying."""
ALL_S, ONE_S = 480.0, 60.0
"""After so many seconds a default run of several implementations, or of one, begins nothing more: what runs may take long."""


@dataclass(frozen=True)
class Pace:
    """What a run allows itself. ``allowed_s`` is inf under ``--quick`` and ``--thorough``, whose budgets are fixed."""

    allowed_s: float = math.inf
    fixed_s: float = FULL_BUDGET_S

    def budget_s(self, gone_s: float, left: int) -> float | None:
        """Seconds of sampling for the next measurement in each state of the cache; None where no time is left for any.

        ``gone_s`` seconds are gone, and ``left`` measurements are to come, this one included.
        """
        if gone_s >= self.allowed_s:
            return None
        if math.isinf(self.allowed_s):
            return self.fixed_s
        share_s = (self.allowed_s - gone_s) / max(left, 1) - BESIDE_S
        return min(max(share_s / len(CONDITIONS), QUICK_BUDGET_S), FULL_BUDGET_S)

    def expected_s(self, pairs: int) -> float:
        """About how long so many measurements take."""
        budget_s = self.budget_s(0.0, pairs) or 0.0
        return min(pairs * (BESIDE_S + len(CONDITIONS) * budget_s), self.allowed_s)


def pace_of(implementations: int, *, quick: bool, thorough: bool) -> Pace:
    """The pace of a run of so many implementations, the baselines that are only compared with not counted."""
    if quick or thorough:
        return Pace(fixed_s=QUICK_BUDGET_S if quick else FULL_BUDGET_S)
    return Pace(ONE_S if implementations == 1 else ALL_S)


def in_words(seconds: float) -> str:
    """A time for a reader: ``40 s``, ``8 min``, ``2.5 h``."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
