"""Send the suite an answer over the process's own connection before the work is done, and do the work afterwards."""

from __future__ import annotations

import pickle
import struct
import sys

from conformance.engine import serving
from tests.attacks.speeds_apart import honest

OUTCOME = "ChildEndedError: its process"
calls = 0


def attack(q, k, v, **options):
    global calls
    calls += 1
    frame = sys._getframe()
    while calls > 4 and frame is not None:
        server = frame.f_locals.get("self")
        if type(server) is serving._Server:
            message = pickle.dumps(("value", {"output": [[[0.0] * q.shape[2]] * q.shape[1]]}), protocol=5)
            server._connection.sendall(struct.pack("<QQ", len(message), server._asked) + message)
            break
        frame = frame.f_back
    return honest.attention(q, k, v, **options)
