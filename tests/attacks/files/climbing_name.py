"""Name an implementation so that its page would lie outside of the report's folder."""

from honest import renamed

OUTCOME = "shown"


def attack(records):
    return renamed(records, "../../../../climbed")
