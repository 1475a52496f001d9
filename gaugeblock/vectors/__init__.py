"""Test vectors of the numeric systems, as files that any language reads."""
