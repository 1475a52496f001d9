"""What the suite itself costs its users: listing, collecting, and a quick run of the built-in implementations."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent

COMMANDS = {
    "list": ["--list-impls"],
    "collect": ["conformance", "--collect-only", "-q"],
    "quick": ["conformance", "--quick", "--impl", "built-in", "-q", "-p", "no:cacheprovider"],
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    # Not part of a look at implementations, whose time is short.
    names = list(COMMANDS) if metafunc.config.getoption("--thorough") and not metafunc.config.getoption("--impl") else []
    metafunc.parametrize("name", names)


@pytest.mark.benchmark(group="the suite itself")
def test_cost(name: str, benchmark: Any) -> None:
    command = [sys.executable, "-m", "pytest", *COMMANDS[name]]

    def run() -> int:
        return subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode

    code = benchmark.pedantic(run, rounds=3, warmup_rounds=1)
    assert code == 0
