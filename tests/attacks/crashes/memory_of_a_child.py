"""Take memory in a child, more than the limit, and answer when it has it."""

import os
import time

from honest import after_the_probe, parse

OUTCOME = "error"
GIB = 2
"""Not more, for where nobody stops it."""


@after_the_probe
def attack(text):
    reading, writing = os.pipe()
    if os.fork() == 0:
        kept = [b"x" * 2**24 for _ in range(GIB * 64)]
        os.write(writing, bytes([len(kept) % 256]))
        time.sleep(60)
        os._exit(0)
    os.read(reading, 1)
    time.sleep(20)
    return parse(text)
