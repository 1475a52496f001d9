"""Never return from a timed call, so that the run never ends."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "TimeLimitExceeded: no answer within"
calls = 0


def attack(text):
    global calls
    calls += 1
    while calls > 6:
        pass
    return honest.parse(text)
