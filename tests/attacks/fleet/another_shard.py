"""Send the records of another implementation's shard, which passes, in the place of one's own."""

from honest import renamed

OUTCOME = "lost: its records hold rig/another"


def attack(records):
    return renamed(records, "another")
