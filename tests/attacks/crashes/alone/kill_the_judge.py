"""Kill the process that judges."""

import os
import signal

from honest import after_the_probe, judge

OUTCOME = "status 3, and no sealed records"


@after_the_probe
def attack(text):
    os.kill(judge(), signal.SIGKILL)
