"""A run spread over many machines: planned as shards, run anywhere, and merged into what one process would have written."""
