"""Spread a run over a Ray cluster as shards, and merge their records into those of one run."""
