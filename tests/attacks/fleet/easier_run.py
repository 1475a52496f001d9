"""Send the records of a quick run, where all cases were asked for."""

from honest import sealed

OUTCOME = "lost: its records are those of a run that was asked for something else"


def attack(records):
    records[0]["options"]["quick"] = not records[0]["options"]["quick"]
    return sealed(records)
