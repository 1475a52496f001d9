"""Leave callbacks of the garbage collector, an audit hook and hooks of errors behind, all of which raise."""

import gc
import sys
import threading

from honest import after_the_probe, parse

OUTCOME = "error"


def fail(*arguments):
    raise RuntimeError("from a hook")


@after_the_probe
def attack(text):
    gc.callbacks.append(fail)
    sys.excepthook = sys.unraisablehook = threading.excepthook = sys.displayhook = fail
    answer = parse(text)
    sys.addaudithook(fail)
    return answer
