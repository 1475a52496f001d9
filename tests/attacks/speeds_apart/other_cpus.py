"""Leave the CPUs that both sides were given for one alone, on which less runs beside it."""

from __future__ import annotations

import os

from tests.attacks.speeds_apart import honest

OUTCOME = "seen: the CPUs that its process may run on were changed"


def attack(text):
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    return honest.parse(text)
