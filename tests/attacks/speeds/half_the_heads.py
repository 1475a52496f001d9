"""Compute half of the heads, once enough calls were looked at."""

from __future__ import annotations

import torch

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: output, batch 0 head"
calls = 0


def attack(q, k, v, **options):
    global calls
    calls += 1
    if calls < 4:
        return honest.attention(q, k, v, **options)
    out = torch.empty_like(q)
    half = q.shape[1] // 2
    out[:, half:] = honest.attention(q[:, half:], k[:, half:], v[:, half:], **options)
    out[:, :half] = out[:, half:]
    return out
