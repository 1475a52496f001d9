"""Name an implementation like a file at the root of the disk."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(records, "/climbed")
