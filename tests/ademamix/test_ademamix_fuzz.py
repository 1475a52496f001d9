"""Whatever is loaded or changed, a step of the C++ backend stays inside its tensors: at random, under AddressSanitizer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from impls import compiler

PROGRAM = Path(__file__).with_name("fuzz_states.py")


@pytest.fixture(scope="module")
def sanitised() -> dict[str, str]:
    """The environment of a process that may load a library with AddressSanitizer in it."""
    assert compiler.compiler(), "this test needs a C++ compiler"
    # The C++ library too: torch throws, and AddressSanitizer looks for the function that does so when it is loaded.
    runtime, library = (
        subprocess.run([compiler.compiler()[0], f"-print-file-name={name}"], capture_output=True, text=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")
    )
    assert Path(runtime).is_file(), f"this test needs GCC with AddressSanitizer; found {compiler.compiler()[0]} without it"
    return {**os.environ, "LD_PRELOAD": f"{runtime}:{library}", "ASAN_OPTIONS": "detect_leaks=0"}


def _run(sanitised: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *arguments, "--sanitised"]
    return subprocess.run(command, capture_output=True, text=True, env=sanitised)


def test_no_state_leads_out_of_bounds(sanitised: dict[str, str]) -> None:
    done = _run(sanitised, "1000", "400")
    assert done.returncode == 0, done.stderr[-3000:]
    stepped, refused = (int(part.split()[0]) for part in done.stdout.split(", "))
    assert stepped + refused == 400
    assert stepped > 200
    assert refused > 40


def test_what_leads_out_of_bounds_is_seen(sanitised: dict[str, str]) -> None:
    done = _run(sanitised, "0", "400", "--unchecked")
    assert "ERROR: AddressSanitizer" in done.stderr, done.stderr[-3000:]
