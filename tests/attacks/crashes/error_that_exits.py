"""Raise an error whose text is only there if one survives asking for it."""

import os

from honest import after_the_probe

OUTCOME = "error"


class Trap(Exception):
    def __str__(self):
        os._exit(0)


@after_the_probe
def attack(text):
    raise Trap
