"""Write a line that never ends, until the suite's memory is full."""

import sys

from honest import questions

OUTCOME = "error"

for _ in questions():
    while True:
        sys.stdout.write("x" * 2**20)
