"""Return an iterator that yields annotations for ever."""

import itertools

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    return itertools.repeat(("query", "value", 0, 1))
