"""Every selected implementation is timed on every workload of Sigmoid attention, beside the baseline."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.benchmark.benchmark import Measurement, replay_timer

SYSTEM = "sigmoid_attention"


@pytest.mark.benchmark(timer=replay_timer)
def test_speed(measurement: Measurement, take: Callable[[Measurement], None]) -> None:
    take(measurement)
