"""Sigmoid attention, its backends, and the registry of implementations."""
