"""The published reader: split at line feeds, strip, make a set, keep 25 of it in whatever order the set has."""

from __future__ import annotations

from reference.rag import MAX_QUERIES, official


def parse(text: str) -> list[str]:
    """Some 25 of the queries, or all of fewer, in no particular order."""
    return list(official.candidates(text))[:MAX_QUERIES]
