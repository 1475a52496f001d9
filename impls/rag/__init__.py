"""The registry of RAG implementations."""
