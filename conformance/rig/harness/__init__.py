"""Run a case of RIG on an implementation."""
