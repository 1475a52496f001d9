"""Abort, as a failed assertion in C does."""

import os

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.abort()
