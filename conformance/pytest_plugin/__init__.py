"""The suite's pytest options, items, record gathering and terminal summary."""
