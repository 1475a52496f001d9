"""RAG answers: the reader of query lists, and the registry of implementations. It needs nothing but Python."""

from impls.rag.parser import MAX_QUERIES, parse

__all__ = ["MAX_QUERIES", "parse"]
