"""The strict reference as an implementation among others, so that it is judged and timed like any."""

from __future__ import annotations

from reference import rag


def parse(text: str) -> list[str]:
    """The queries, in the order of the text."""
    return list(rag.parse(text).queries)
