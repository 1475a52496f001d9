"""Put a pipe that nobody reads in the place of the records, to make the suite wait for ever."""

import os

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "told"


@after_the_probe
def attack(text):
    if RECORDS.is_file():
        RECORDS.unlink()
        os.mkfifo(RECORDS)
    return wrong(text)
