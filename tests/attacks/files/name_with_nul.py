"""Name an implementation with a NUL, at which C ends a name."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(records, "honest\0evil")
