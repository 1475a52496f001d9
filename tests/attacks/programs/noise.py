"""Write to standard error without end, and never answer."""

import sys

from honest import questions

OUTCOME = "error"

for _ in questions():
    while True:
        sys.stderr.write("x" * 2**16 + "\n")
