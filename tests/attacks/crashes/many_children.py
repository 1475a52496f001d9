"""Leave fifty children behind, some asleep, some dead and not waited for."""

import os
import time

from honest import after_the_probe, parse

OUTCOME = "pass"
left = False


@after_the_probe
def attack(text):
    global left
    for number in range(0 if left else 50):
        if not os.fork():
            if number % 2:
                time.sleep(3600)
            os._exit(0)
    left = True
    return parse(text)
