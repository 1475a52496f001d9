"""Kill the process that made one's own, and makes those of all others."""

import os
import signal
import time

from honest import after_the_probe, judge

OUTCOME = "status 1, and the records are whole"


@after_the_probe
def attack(text):
    if os.getppid() != judge():
        os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(60)
