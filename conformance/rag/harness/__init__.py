"""Run a case of RAG on an implementation."""
