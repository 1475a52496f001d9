"""Cut the records off after their first line."""

from honest import RECORDS, after_the_probe, wrong

OUTCOME = "kept"


@after_the_probe
def attack(text):
    with RECORDS.open("r+b") as file:
        file.readline()
        file.truncate(file.tell())
    return wrong(text)
