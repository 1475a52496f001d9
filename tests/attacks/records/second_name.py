"""Keep a second name of the records, to write to them when the run has sealed them."""

import os

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    if not os.path.exists("second"):
        os.link(RECORDS, "second")
    return wrong(text)
