"""Read from address 0."""

import ctypes

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    return ctypes.string_at(0)
