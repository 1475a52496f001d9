"""Leave out one tile of 16 rows of one head."""

from __future__ import annotations

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: output, batch 0 head 2"
calls = 0


def attack(q, k, v, **options):
    global calls
    calls += 1
    out = honest.attention(q, k, v, **options)
    if calls > 3:
        out[:, 2, 144:160] = 0
    return out
