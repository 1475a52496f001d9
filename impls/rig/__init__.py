"""The RIG parser, the grammar exporter, and the registry of implementations."""
