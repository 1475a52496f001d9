"""Whatever it is called with, the C++ backend stays inside its arguments' memory: calls at random under AddressSanitizer."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from impls import compiler

PROGRAM = Path(__file__).with_name("fuzz_native.py")
OUT_OF_BOUNDS = (
    "import torch; from impls.sigmoid_attention import native; from impls.sigmoid_attention.options import AttentionOptions;"
    "native.FLAGS = ('-fsanitize=address', '-fno-omit-frame-pointer'); x = torch.ones(1, 1, 8, 16);"
    "print('obstacle', native.obstacle());"
    "native.forward(x, x, x, AttentionOptions(cu_seqlens_q=torch.tensor([0, 800])))"
)


@pytest.fixture(scope="module")
def sanitised() -> dict[str, str]:
    """The environment of a process that may load a library with AddressSanitizer in it."""
    assert compiler.compiler(), "this test needs a C++ compiler"
    asked = [compiler.compiler()[0], "-print-file-name=libasan.so"]
    runtime = subprocess.run(asked, capture_output=True, text=True, check=True).stdout.strip()
    assert Path(runtime).is_file(), f"this test needs GCC with AddressSanitizer; found {compiler.compiler()[0]} without it"
    return {**os.environ, "LD_PRELOAD": runtime, "ASAN_OPTIONS": "detect_leaks=0"}


def run(sanitised: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, env=sanitised)


def test_no_argument_leads_out_of_bounds(sanitised: dict[str, str]) -> None:
    done = run(sanitised, str(PROGRAM), "0", "300", "--sanitised")
    assert done.returncode == 0, done.stderr[-3000:]
    answered, refused = (int(part.split()[0]) for part in done.stdout.split(", "))
    assert answered + refused == 300
    assert min(answered, refused) > 100


def test_what_leads_out_of_bounds_is_seen(sanitised: dict[str, str]) -> None:
    # Below the checks of the public call.
    done = run(sanitised, "-c", OUT_OF_BOUNDS)
    assert "obstacle None" in done.stdout, done.stderr[-3000:]
    # Wide vectors may reach an unmapped page at once, which is a SEGV.
    assert re.search(r"ERROR: AddressSanitizer: (heap-|SEGV)", done.stderr), done.stderr[-3000:]
