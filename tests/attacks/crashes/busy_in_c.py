"""Compute in C without end, and hold the interpreter's lock while doing so."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    return pow(3, 10**12)
