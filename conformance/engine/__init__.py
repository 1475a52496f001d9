"""Discover implementations, run checks on them, compare, give verdicts, and test the suite itself by mutants."""
