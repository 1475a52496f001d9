"""Seal the records before the suite does, with a footer of one's own."""

from honest import RECORDS, after_the_probe, forged, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    footer = forged(RECORDS.read_bytes()).splitlines()[-1]
    with RECORDS.open("ab") as file:
        file.write(footer + b"\n")
    return wrong(text)
