"""How sigmoid attention is tested: requirements, cases, checks and workloads."""
