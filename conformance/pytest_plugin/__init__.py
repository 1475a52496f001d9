"""The pytest plugin: options, items, records and terminal summary."""
