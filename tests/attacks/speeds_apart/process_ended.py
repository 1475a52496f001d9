"""End the process with status 0 in the middle of a timed call, so that its time is never known."""

from __future__ import annotations

import os

from tests.attacks.speeds_apart import honest

OUTCOME = "ChildEndedError: its process ended with exit status 0"
calls = 0


def attack(text):
    global calls
    calls += 1
    if calls > 6:
        os._exit(0)
    return honest.parse(text)
