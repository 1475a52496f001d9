"""How RAG is tested: requirements, cases, mutants, workloads and the linter for lists of queries."""
