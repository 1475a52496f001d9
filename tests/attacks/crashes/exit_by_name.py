"""Call sys.exit(0), as a program that has done its work."""

import sys

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    sys.exit(0)
