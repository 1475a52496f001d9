"""The room of RIG: requirements, cases, checks and workloads for parsers of annotated answers."""
