"""Stop the own process, which then uses no processor time and never answers."""

import os
import signal

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.kill(os.getpid(), signal.SIGSTOP)
    return []
