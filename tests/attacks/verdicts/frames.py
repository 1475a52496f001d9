"""Walk up the call stack for a local variable that holds the expected annotations."""

import sys

import honest

OUTCOME = "fail"


def attack(text):
    frame = sys._getframe()
    while frame is not None:
        for name, value in frame.f_locals.items():
            if name in ("expected", "want", "truth", "reference") and isinstance(value, (list, tuple)):
                return value
        frame = frame.f_back
    return honest.wrong(text)
