"""``gaugeblock report`` and ``diff``: `python -m reports`."""

from __future__ import annotations

from collections.abc import Sequence


def report(arguments: Sequence[str]) -> int:
    """Render record files as pages."""
    from reports.cli import main

    return main(arguments)


def diff(arguments: Sequence[str]) -> int:
    """Say in words what changed between two runs."""
    return report(["diff", *arguments])
