"""End every process of the own group with a signal."""

import os
import signal

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    os.killpg(0, signal.SIGKILL)
