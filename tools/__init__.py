"""Developers' tools that no user needs: tuning and machine-code tables."""
