"""Other people's attention functions."""
