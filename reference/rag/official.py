"""The official reader returns a set: which 25 of more queries it keeps, and in which order, depends on the hash seed.

Source: Data Commons' llm-tools, revision df971f8, ``rag.py``, lines 79 and 80: split at U+000A, `str.strip`, drop the empty,
``list(set(...))[:25]``. So bullets and numbers stay, duplicates go, and neither the order nor the choice is specified. An
implementation of this profile may return any list that `accepts` accepts.
"""

from __future__ import annotations

from collections.abc import Sequence

from .grammar import MAX_QUERIES


def candidates(text: str) -> frozenset[str]:
    """Every query that the official reader could return."""
    return frozenset(stripped for line in text.split("\n") if (stripped := line.strip()))


def accepts(text: str, queries: Sequence[str]) -> bool:
    """Whether the official reader could have returned ``queries``: distinct candidates, all of them or any 25."""
    possible = candidates(text)
    distinct = set(queries)
    return len(queries) == len(distinct) == min(MAX_QUERIES, len(possible)) and distinct <= possible
