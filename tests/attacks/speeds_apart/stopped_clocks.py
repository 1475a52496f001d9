"""Sleep in every call, and stop all clocks of the process, so that it takes no time."""

from __future__ import annotations

import time

from tests.attacks.speeds_apart import honest

OUTCOME = "timed whole"
sleep = time.sleep


def attack(q, k, v, **options):
    for name in ("time", "monotonic", "perf_counter", "process_time", "thread_time"):
        setattr(time, name, lambda: 0.0)
        setattr(time, f"{name}_ns", lambda: 0)
    sleep(0.05)
    return honest.attention(q, k, v, **options)
