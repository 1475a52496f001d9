"""Keep the answer for as long as all inputs have the same absolute values, which a change of signs leaves as they are."""

from __future__ import annotations

import hashlib

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: output"
known = {}


def attack(q, k, v, **options):
    key = hashlib.sha256(b"".join(x.detach().abs().numpy().tobytes() for x in (q, k, v))).digest()
    if key not in known:
        known.clear()
        known[key] = honest.attention(q, k, v, **options)
    return known[key]
