"""Send the process that judges what Ctrl+C sends."""

import os
import signal

from honest import after_the_probe, judge

OUTCOME = "status 2, and no sealed records"


@after_the_probe
def attack(text):
    os.kill(judge(), signal.SIGINT)
    signal.pause()
