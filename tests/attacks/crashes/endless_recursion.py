"""Recurse without a limit, until the stack is used up."""

import sys

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    sys.setrecursionlimit(2**31 - 1)

    class Deep:
        def __getattr__(self, name):
            return str(getattr(self, name + "x"))

    return Deep().anything
