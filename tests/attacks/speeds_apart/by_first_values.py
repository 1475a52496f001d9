"""Keep the answer for as long as the first row of the queries stays the same."""

from __future__ import annotations

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: output"
known = {}


def attack(q, k, v, **options):
    key = q[0, 0, 0].detach().numpy().tobytes()
    if key not in known:
        known.clear()
        known[key] = honest.attention(q, k, v, **options)
    return known[key]
