"""Patch all clocks, so that no limit of time ever ends."""

import time

from honest import wrong

OUTCOME = "fail"


def attack(text):
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: 0.0)
        setattr(time, f"{name}_ns", lambda: 0)
    return wrong(text)
