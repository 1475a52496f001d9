"""Have a timer of the process's own end it in the middle of an answer."""

import signal

from honest import after_the_probe, parse

OUTCOME = "error"


@after_the_probe
def attack(text):
    signal.setitimer(signal.ITIMER_VIRTUAL, 1e-4, 1e-4)
    while True:
        parse(text)
