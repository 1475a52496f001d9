"""The AdEMAMix optimizer, its backends, and the registry of implementations."""
