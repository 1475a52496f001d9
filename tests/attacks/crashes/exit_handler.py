"""Leave an exit handler that never returns, so that the run never ends."""

import atexit
import time

from honest import after_the_probe, parse

OUTCOME = "pass"


@after_the_probe
def attack(text):
    atexit.register(time.sleep, 3600)
    return parse(text)
