"""Adapters of RAG readers."""
