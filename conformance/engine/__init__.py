"""Discover implementations, run checks on them, compare, give verdicts, and judge the suite itself by its mutants."""
