"""Have the process that judges run only when nothing else does, and keep the processors busy."""

import os
import threading

from honest import after_the_probe, judge, parse

OUTCOME = "status 0, and the records are whole"


def spin():
    while True:
        pass


@after_the_probe
def attack(text):
    os.sched_setscheduler(judge(), os.SCHED_IDLE, os.sched_param(0))
    threading.Thread(target=spin, daemon=True).start()
    return parse(text)
