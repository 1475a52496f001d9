"""The strict reference as one implementation among others: it is tested and timed like any. This adapter alone imports it."""

from __future__ import annotations

from reference import rag


def parse(text: str) -> list[str]:
    """The queries, in the order of the text."""
    return list(rag.parse(text).queries)
