"""``python -m conformance.rig lint FILE...`` says what is wrong with model outputs in the RIG format."""

from __future__ import annotations

import sys

from conformance.linting.command import run
from conformance.rig.lint import LINTER

sys.exit(run(LINTER, sys.argv[1:]))
