"""Other people's RIG parsers and constrained decoders, and ours in the harness's shapes."""
