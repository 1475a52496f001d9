"""Linting: what is wrong with the outputs of a model, rather than with a reader of them. One command for both text systems."""
