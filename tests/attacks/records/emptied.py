"""Empty the records."""

import os

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    os.truncate(RECORDS, 0)
    return wrong(text)
