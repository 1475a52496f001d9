"""Say what changed between two runs: only what both tested is compared, and only what is proven is called worse."""
