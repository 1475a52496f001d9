"""End by a real-time signal, which has a number and no name."""

import os
import signal

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.kill(os.getpid(), signal.SIGRTMIN + 3)
