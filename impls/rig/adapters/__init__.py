"""Adapters: other people's parsers and constrained decoders, and this repository's own, in the shapes of the harness."""
