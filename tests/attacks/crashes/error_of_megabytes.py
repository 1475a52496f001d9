"""Raise an error with a text of 10 MB."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    raise ValueError("x" * 10**7)
