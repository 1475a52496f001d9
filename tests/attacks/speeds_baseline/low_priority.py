"""Give the process in which the baseline is timed the lowest priority, so that it waits for whatever else runs."""

from __future__ import annotations

import os

from tests.attacks.speeds_apart import honest
from tests.attacks.speeds_baseline.others import other_processes

OUTCOME = "seen: the priority of the baseline's process was changed"


def attack(text):
    for process in other_processes():
        os.setpriority(os.PRIO_PROCESS, process, 19)
    return honest.parse(text)
