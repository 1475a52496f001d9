"""Run a case of sigmoid attention on an implementation."""
