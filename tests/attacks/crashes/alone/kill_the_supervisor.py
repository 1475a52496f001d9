"""Kill the process that waits for the one that judges."""

import os
import signal

from honest import after_the_probe, supervisor

OUTCOME = "status 247, and no sealed records"


@after_the_probe
def attack(text):
    os.kill(supervisor(), signal.SIGKILL)
    signal.pause()
