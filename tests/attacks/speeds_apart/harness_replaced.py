"""Replace the part of the suite that makes the calls, in the own process, by one that makes none and shows the last answer."""

from __future__ import annotations

from conformance.sigmoid_attention.harness import timed_work
from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: output"
calls = 0


def make(self, told):
    for signs in told:
        if signs is not None:
            self.turn(signs)
    return {name: x.amax(-1).numpy() for name, x in self._results.items()}


def attack(q, k, v, **options):
    global calls
    calls += 1
    if calls > 4:
        timed_work.TimedWork.make = make
    return honest.attention(q, k, v, **options)
