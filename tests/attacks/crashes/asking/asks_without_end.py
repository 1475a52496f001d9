"""Ask the judge for the value of a query again and again, with all signals blocked, so that no single answer is long."""

import signal

OUTCOME = "error"


def attack(text, fetch):
    if "Sunnyvale" in text:
        return text
    signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 64))
    while True:
        fetch("q")
