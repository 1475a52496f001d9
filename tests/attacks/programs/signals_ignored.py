"""Ignore every request to end, compute without end, and leave a child that does the same."""

import os
import signal

from honest import questions

OUTCOME = "error"

for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGALRM):
    signal.signal(each, signal.SIG_IGN)
for _ in questions():
    os.fork()
    while True:
        pass
