"""Leave behind a process in a session of its own, whose parent has ended."""

import os
import pathlib
import time

from honest import after_the_probe, parse

OUTCOME = "not prevented; --confine=namespace does"
left = False


@after_the_probe
def attack(text):
    global left
    if not left:
        left = True
        if not os.fork():
            os.setsid()
            if not os.fork():
                for each in range(3):
                    os.close(each)
                pathlib.Path("left-behind.txt").write_text(str(os.getpid()))
                time.sleep(1800)  # until the test ends it, however slow the machine
            os._exit(0)
    return parse(text)
