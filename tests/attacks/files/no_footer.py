"""Cut the file off before its footer."""

from honest import line

OUTCOME = "refused"


def attack(records):
    return b"".join(map(line, records[:-1]))
