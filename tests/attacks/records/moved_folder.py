"""Move the folder of the records away, and put another with forged records in its place."""

import os
import pathlib

from honest import RECORDS, after_the_probe, forged, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    content, here = RECORDS.read_bytes(), pathlib.Path.cwd()
    os.rename(here, here.with_name("away"))
    here.mkdir()
    (here / RECORDS).write_bytes(forged(content))
    return wrong(text)
