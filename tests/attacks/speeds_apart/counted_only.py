"""Only count the annotations while the clock runs, and read the text when somebody asks what was in it."""

from __future__ import annotations

from conformance.rig.harness import text as harness
from tests.attacks.speeds_apart import honest

OUTCOME = "not prevented; a warning that it works while nothing is timed"


def make(self, texts):
    self.texts = list(texts)
    return [text.count('") --> "') for text in texts]


def last(self):
    return self._items(honest.parse(self.texts[-1]), self.texts[-1]) if self.texts else []


def attack(text):
    harness.TimedReader.make, harness.TimedReader.last = make, last
    return honest.parse(text)
