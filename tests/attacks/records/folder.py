"""Put a folder in the place of the records."""

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "told"


@after_the_probe
def attack(text):
    if RECORDS.is_file():
        RECORDS.unlink()
        RECORDS.mkdir()
    return wrong(text)
