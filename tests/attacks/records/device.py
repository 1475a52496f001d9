"""Put a symbolic link to the null device in the place of the records."""

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "told"


@after_the_probe
def attack(text):
    RECORDS.unlink()
    RECORDS.symlink_to("/dev/null")
    return wrong(text)
