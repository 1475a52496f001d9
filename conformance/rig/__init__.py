"""How RIG is tested: requirements, cases, mutants, workloads and the linter for annotated answers."""
