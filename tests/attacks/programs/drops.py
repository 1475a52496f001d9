"""Answer byte by byte, so slowly that no single wait is long, and never end."""

import sys
import time

from honest import questions

OUTCOME = "error"

for _ in questions():
    while True:
        sys.stdout.write("x")
        sys.stdout.flush()
        until = time.process_time() + 0.01
        while time.process_time() < until:
            pass
