"""The room of RAG: requirements, cases, checks and workloads for readers of query lists."""
