"""Stop the process in which the baseline is timed, so that each of its calls takes as long as it is stopped."""

from __future__ import annotations

import os
import signal

from tests.attacks.speeds_apart import honest
from tests.attacks.speeds_baseline.others import other_processes

OUTCOME = "NoAnswer: no answer: its process was stopped by a signal"


def attack(text):
    for process in other_processes():
        os.kill(process, signal.SIGSTOP)
    return honest.parse(text)
