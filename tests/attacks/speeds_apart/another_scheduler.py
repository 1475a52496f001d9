"""Leave the scheduler's class that both sides were given, for one that runs when nothing else does, or ahead of all."""

from __future__ import annotations

import os

from tests.attacks.speeds_apart import honest

OUTCOME = "seen: the priority of its process was changed"


def attack(text):
    os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    return honest.parse(text)
