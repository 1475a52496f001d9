"""Wait for a child, which computes without end: the process itself uses no processor time, and its group does."""

import os

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    child = os.fork()
    while child == 0:
        pass
    os.waitpid(child, 0)
