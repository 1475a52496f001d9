"""Run a case of AdEMAMix on an implementation."""
