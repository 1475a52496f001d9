"""End with status 0, and leave a child that keeps the way to the judge open, so that its end does not show there."""

import os
import time

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    if os.fork():
        os._exit(0)
    until = time.monotonic() + 60
    while time.monotonic() < until:
        time.sleep(1)
    os._exit(0)
