"""Stop the process that made one's own, so that nobody gets a process any more."""

import os
import signal

from honest import after_the_probe, judge

OUTCOME = "status 1, and the records are whole"


@after_the_probe
def attack(text):
    if os.getppid() != judge():
        os.kill(os.getppid(), signal.SIGSTOP)
    os._exit(0)
