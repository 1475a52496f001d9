"""``python -m conformance.rag lint FILE...`` says what is wrong with model outputs in the RAG format."""

from __future__ import annotations

import sys

from conformance.linting.command import run
from conformance.rag.lint import LINTER

sys.exit(run(LINTER, sys.argv[1:]))
