"""Leave a thread that computes without end, so that the baseline gets less of the processor."""

from __future__ import annotations

import threading

from tests.attacks.speeds_apart import honest

OUTCOME = "seen: its threads go on"


def spin():
    while True:
        pass


def attack(text):
    if threading.active_count() == 1:
        threading.Thread(target=spin, daemon=True).start()
    return honest.parse(text)
