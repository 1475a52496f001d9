"""Keep answers by all of the text but its beginning, where texts that are asked in a row differ; here a kept one is empty."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "timed whole"
known = set()


def attack(text):
    if len(text) > 1000:
        if text[1000:] in known:
            return []
        known.add(text[1000:])
    return honest.parse(text)
