"""Put another file, forged and sealed, in the place of the records."""

import os
import pathlib

from honest import RECORDS, after_the_probe, forged, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    pathlib.Path("forged").write_bytes(forged(RECORDS.read_bytes()))
    os.replace("forged", RECORDS)
    return wrong(text)
