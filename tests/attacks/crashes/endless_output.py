"""Print megabytes to standard output and standard error: more than any pipe holds, and little processor time."""

import os
import sys

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    for _ in range(4):
        print("x" * 2**20)
        os.write(2, b"y" * 2**20)
    sys.stdout.flush()
    return parse(text)
