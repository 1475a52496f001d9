"""Fork, and let both processes answer, so that each later answer belongs to an earlier question."""

import os
import sys
import threading
import time

from honest import after_the_probe, parse

OUTCOME = "error"
forked = False


def end_once_it_has_answered():
    """End this process as soon as it waits for the next question."""
    while sys._current_frames()[threading.main_thread().ident].f_code.co_name != "_read":
        time.sleep(0.001)
    os._exit(0)


@after_the_probe
def attack(text):
    global forked
    if not forked:
        forked = True
        other = os.fork()
        if other:
            os.waitpid(other, 0)
        else:
            threading.Thread(target=end_once_it_has_answered).start()
    return parse(text)
