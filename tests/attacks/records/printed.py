"""Print records, a summary of passes and a sealed footer, for whoever reads the output."""

import os
import sys

from honest import RECORDS, after_the_probe, forged, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    for line in forged(RECORDS.read_bytes()).splitlines():
        print(line.decode())
        os.write(2, line + b"\n")
    print("rig/printed.attack  conforms", "8 passed in 0.1s", sep="\n")
    sys.stdout.flush()
    return wrong(text)
