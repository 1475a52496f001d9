"""Have Python end the process with status 0 wherever an error is not caught, and leave errors in finalisers and threads."""

import os
import sys
import threading

from honest import after_the_probe, parse

OUTCOME = "error"


class Trap:
    def __del__(self):
        raise ValueError


@after_the_probe
def attack(text):
    sys.unraisablehook = sys.excepthook = threading.excepthook = lambda *_: os._exit(0)
    Trap()
    return parse(text)
