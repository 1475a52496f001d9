"""RAG readers in the shapes of the harness."""
