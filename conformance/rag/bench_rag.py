"""Every selected implementation is timed on every workload of RAG query lists, beside the baseline."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from conformance.benchmark.benchmark import replay_timer
from conformance.benchmark.workload import BenchmarkCase

SYSTEM = "rag"


@pytest.mark.benchmark(timer=replay_timer)
def test_speed(benchmark_case: BenchmarkCase, measured: Callable[[BenchmarkCase], None]) -> None:
    measured(benchmark_case)
