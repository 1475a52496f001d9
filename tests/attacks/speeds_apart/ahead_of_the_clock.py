"""Compute the answer in a thread as soon as the inputs are drawn, before the clock runs, and return what lies ready."""

from __future__ import annotations

import threading
import time

import torch

from tests.attacks.speeds_apart import honest

OUTCOME = "WrongAnswer: output"
seen = []
ready = {}


def ahead():
    while True:
        for q, k, v, options in tuple(seen):
            with torch.no_grad():
                ready[q.data_ptr()] = honest.attention(q, k, v, **options)
        time.sleep(0.001)


def attack(q, k, v, **options):
    if q.data_ptr() not in ready:
        seen.append((q.detach(), k.detach(), v.detach(), options))
        if len(seen) == 1:
            threading.Thread(target=ahead, daemon=True).start()
        return honest.attention(q, k, v, **options)
    return ready[q.data_ptr()].clone()
