"""Run some of the cases alone, those that pass."""

from honest import sealed

OUTCOME = "lost: its records are those of a run that was asked for something else"


def attack(records):
    records[0]["options"]["keyword"] = "RIG-34-end"
    return sealed(records)
