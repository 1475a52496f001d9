"""Remove the records, and what an earlier run had left."""

import pathlib

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    for each in pathlib.Path().glob(f"{RECORDS}*"):
        each.unlink()
    return wrong(text)
