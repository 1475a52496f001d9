"""RAG query lists (arXiv:2409.13741): the reader. It needs nothing but Python.

from gaugeblock.rag import parse

queries = parse(text)  # a list of strings, at most MAX_QUERIES
"""

from __future__ import annotations

from gaugeblock.public import publish
from impls.rag import MAX_QUERIES, parse

__all__ = ["MAX_QUERIES", "parse"]

publish(globals())
