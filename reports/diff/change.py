"""One difference between two runs: a sentence, and whether it is one for the worse."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from reports.document import visible


@dataclass(frozen=True)
class Change:
    """``words`` is one line; ``again`` the command that shows it, where there is one."""

    words: str
    worse: bool = False
    again: str = ""


def shown(text: str) -> str:
    """Sanitise a record string for one line of a terminal."""
    return visible(" ".join(text.split(" ")).strip()) or "-"


def some(words: Iterable[str], most: int = 4) -> str:
    """``a, b, c, d and 3 more``."""
    items = list(words)
    if len(items) <= most:
        return ", ".join(items)
    return f"{', '.join(items[:most])} and {len(items) - most} more"
