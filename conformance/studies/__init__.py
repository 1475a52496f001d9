"""Measure what the papers claim, and follow errors along curves."""
