"""How implementations are tested: requirements, cases, checks, benchmarks and planted bugs; one package for each system."""
