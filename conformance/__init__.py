"""How it is judged: requirements, cases, checks, benchmarks and planted bugs; one room per system."""
