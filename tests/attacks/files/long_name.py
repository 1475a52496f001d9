"""Name an implementation with ten thousand characters, more than the name of a file may have."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(records, "x" * 10_000)
