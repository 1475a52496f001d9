"""The command ``gaugeblock``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from gaugeblock.installation import SUITE
from gaugeblock.suite import run_suite


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    _, *specs = sys.argv[1:] if arguments is None else arguments
    return run_suite(str(SUITE / "conformance"), *(f"--impl={spec}" for spec in specs))
