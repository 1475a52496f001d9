"""Take a higher priority than the baseline has, or where that is refused, give all threads but one a lower one."""

from __future__ import annotations

import contextlib
import os

from tests.attacks.speeds_apart import honest

OUTCOME = "seen: the priority of its process was changed"


def attack(text):
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -5)
    if os.getpriority(os.PRIO_PROCESS, 0) == 0:
        os.setpriority(os.PRIO_PROCESS, 0, 5)
    return honest.parse(text)
