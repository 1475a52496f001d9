"""Return the answer to the text before, which has as many annotations or nearly so."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: annotations"
before = []


def attack(text):
    found = honest.parse(text)
    if len(text) < 1000:
        return found
    before.append(found)
    return before[max(0, len(before) - 2)] if len(before) > 3 else found
