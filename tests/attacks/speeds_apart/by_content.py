"""Keep answers by the content of all inputs, since the suite may ask the same thing twice; here a kept one is a wrong one."""

from __future__ import annotations

import hashlib

import torch

from tests.attacks.speeds_apart import honest

OUTCOME = "timed whole"
known = set()


def attack(q, k, v, **options):
    key = hashlib.sha256(b"".join(x.detach().numpy().tobytes() for x in (q, k, v))).digest()
    if key in known:
        return torch.zeros_like(q)
    known.add(key)
    return honest.attention(q, k, v, **options)
