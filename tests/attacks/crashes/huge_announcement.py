"""Announce to the judge, on every open file, an answer of more bytes than there is memory."""

import os

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    for each in range(3, 64):
        try:
            os.write(each, b"\xff" * 4 + b"\x7f" * 12)
        except OSError:
            continue
    os._exit(0)
