"""How AdEMAMix is tested: requirements, cases, mutants, workloads, claims and curves."""
