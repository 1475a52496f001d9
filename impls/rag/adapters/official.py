"""The published reader (llm-tools df971f8, rag.py:79): split at line feeds, strip, make a set, keep any 25 of it."""

from __future__ import annotations


def parse(text: str) -> list[str]:
    """25 of the queries, or all of fewer, in no particular order."""
    return list({query for line in text.split("\n") if (query := line.strip())})[:25]
