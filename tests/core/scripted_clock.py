"""A plugin for pytest, ``-p tests.core.scripted_clock``: a call takes a millisecond, and what it says that it spends."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from conformance.benchmark import measurement
from conformance.benchmark.timer import HostClock, Work, nothing

CALL_S = 1e-3
_SPENT = [0.0]


def spend(calls: float) -> None:
    """Called by the work itself: it takes as long as so many calls beside the one that it is."""
    _SPENT[0] += calls * CALL_S


class ScriptedClock(HostClock):
    """No time passes on it but what is made up."""

    def time(self, work: Work, before: Callable[[], Any] = nothing) -> float:
        before()
        _SPENT[0] = 0.0
        work.launch()
        return work.calls * CALL_S + _SPENT[0]


setattr(measurement, "clock_for", lambda device, **options: ScriptedClock())  # noqa: B010
setattr(measurement, "time", SimpleNamespace(monotonic=lambda: 0.0))  # noqa: B010
