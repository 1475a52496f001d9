"""Leave out the last column of every row."""

from __future__ import annotations

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: output, batch 0 head"


def attack(q, k, v, **options):
    out = honest.attention(q, k, v, **options)
    out[..., -1] = 0
    return out
