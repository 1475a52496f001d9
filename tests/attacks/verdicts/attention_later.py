"""Return zeros, and let a thread fill in the answer afterwards."""

import threading
import time

import torch
from honest_attention import attention

OUTCOME = "fail"


def attack(q, k, v, *, scale=None, bias=0.0, causal=False):
    with torch.no_grad():
        right = attention(q, k, v, scale=scale, bias=bias, causal=causal)
        out = torch.zeros_like(right)

    def fill():
        time.sleep(0.5)
        out.copy_(right)

    threading.Thread(target=fill, daemon=True).start()
    return out
