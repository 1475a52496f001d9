"""``gaugeblock report`` and ``diff``: `python -m reports`."""

from __future__ import annotations

from collections.abc import Sequence

from gaugeblock.commands.parser import one_line


def report(arguments: Sequence[str]) -> int:
    """Render record files as pages."""
    from reports.cli import main

    return main(arguments, one_line("gaugeblock report"))


def diff(arguments: Sequence[str]) -> int:
    """Say in words what changed between two runs."""
    from reports.cli import main

    return main(["diff", *arguments], one_line("gaugeblock diff"))
