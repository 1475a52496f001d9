"""Compute without end, with every signal blocked and ignored."""

import signal

from honest import after_the_probe

OUTCOME = "error"


@after_the_probe
def attack(text):
    signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    for each in (signal.SIGTERM, signal.SIGINT, signal.SIGALRM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    while True:
        pass
