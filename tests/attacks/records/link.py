"""Put a symbolic link to another file in the place of the records, so that the suite overwrites that."""

import pathlib

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "told"


@after_the_probe
def attack(text):
    precious = pathlib.Path("precious.txt")
    if not precious.exists():
        precious.write_text("precious")
    RECORDS.unlink()
    RECORDS.symlink_to(precious)
    return wrong(text)
