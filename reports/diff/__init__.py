"""What changed between two runs, in words: only what both put is compared, and only what is proven is called worse."""
