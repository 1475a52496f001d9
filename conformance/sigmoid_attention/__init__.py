"""How sigmoid attention is judged: requirements, cases, checks and workloads."""
