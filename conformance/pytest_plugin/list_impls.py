"""The text of ``--list-impls``."""

from __future__ import annotations

from collections.abc import Sequence

from conformance.engine.discovery import Selection, installed, listed, select
from impls.implementation import Implementation, in_one_line
from impls.systems import SYSTEMS


def list_implementations(specs: Sequence[str]) -> str:
    """The implementations that ``--impl`` arguments select, or all that are listed, system by system."""
    found = select(specs) if specs else Selection(listed(), installed().failures)
    lines = []
    for system in SYSTEMS:
        own = [implementation for implementation in found.implementations if implementation.system == system.name]
        if not own:
            continue
        lines.append(f"{system.title} ({system.paper})")
        width = max(len(implementation.name) for implementation in own)
        lines += [f"  {i.name:<{width}}  {_missing(i)}{i.summary}" for i in own]
    lines += [f"ERROR: {in_one_line(failure.spec)}: {failure.message}" for failure in found.failures]
    return "\n".join(lines)


def _missing(implementation: Implementation) -> str:
    missing = implementation.missing()
    return f"[not installed: {', '.join(missing)}] " if missing else ""
