"""Replace the process by a program that ends with status 0."""

import os
import sys

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.execv(sys.executable, [sys.executable, "-c", "pass"])
