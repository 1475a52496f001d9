"""Put a symbolic link to another file where the suite might write the records before they get their name."""

import os
import pathlib

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


def parent_of(process):
    return int(pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


@after_the_probe
def attack(text):
    precious, process = pathlib.Path("precious.txt"), os.getpid()
    if not precious.exists():
        precious.write_text("precious")
        while process > 1:
            RECORDS.with_name(f".{process}.partial").symlink_to(precious)
            process = parent_of(process)
    return wrong(text)
