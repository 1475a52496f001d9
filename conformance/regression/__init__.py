"""Compare a run with earlier ones: lost verdicts and proven slowdowns."""
