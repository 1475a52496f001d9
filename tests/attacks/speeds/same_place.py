"""Return the answer that was right for what lay at the same place before."""

from __future__ import annotations

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: output"
known = {}


def attack(q, k, v, **options):
    place = q.data_ptr()
    if place not in known:
        known[place] = honest.attention(q, k, v, **options)
    return known[place]
