"""Ask the process that judges to end, with a signal that programs obey."""

import os
import signal

from honest import after_the_probe, judge

OUTCOME = "status 3, and no sealed records"


@after_the_probe
def attack(text):
    os.kill(judge(), signal.SIGTERM)
    signal.pause()
