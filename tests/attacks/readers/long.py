"""Raise an error whose text has ten million characters without a space."""

from honest import raises

OUTCOME = "harmless"

attack = raises("x" * 10_000_000)
