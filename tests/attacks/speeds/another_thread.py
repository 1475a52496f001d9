"""Return at once, and let a thread do the work after the clock has stopped."""

from __future__ import annotations

import threading

import torch

from tests.attacks.speeds import honest

OUTCOME = "WrongAnswer: output was complete when the clock stopped"
calls = 0
waiting: list[threading.Event] = []
working: list[threading.Thread] = []


def attack(q, k, v, **options):
    global calls
    calls += 1
    if calls < 4:
        return honest.attention(q, k, v, **options)
    out, go = torch.zeros_like(q), threading.Event()

    def work():
        go.wait()
        out.copy_(honest.attention(q, k, v, **options))

    waiting.append(go)
    working.append(threading.Thread(target=work))
    working[-1].start()
    return out


def finish():
    """Called once the clock has stopped: by then the thread gets to its work."""
    for go, thread in zip(waiting, working, strict=True):
        go.set()
        thread.join()
