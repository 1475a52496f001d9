"""The baseline is timed in a process that holds nothing of this one."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from conformance.benchmark import baseline_alone
from conformance.benchmark.cache import CONDITIONS


def test_a_process_of_its_own_times_the_baseline_whatever_is_done_to_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "re.py").write_text("raise SystemExit('not the real one')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    monkeypatch.setattr(sys, "path", [])
    found = baseline_alone.seconds.__wrapped__("rig", "typical-1k", "cpu")
    assert isinstance(found, dict)
    assert set(found) == set(CONDITIONS)
    assert all(seconds > 0 for seconds in found.values())


def test_why_it_could_not_is_told() -> None:
    assert "JSONDecodeError" in baseline_alone.seconds.__wrapped__("rig", "no such workload", "cpu")
