"""Raise KeyboardInterrupt, as if somebody had pressed Ctrl+C."""

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    raise KeyboardInterrupt
