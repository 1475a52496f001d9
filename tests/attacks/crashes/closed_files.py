"""Close all files of the process, the way to the judge among them."""

import os

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.closerange(0, 1000)
    return []
