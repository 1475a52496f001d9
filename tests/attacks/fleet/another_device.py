"""Say that it was tested on a device which this node does not have."""

from honest import sealed, verdicts

OUTCOME = "lost: its records hold rig/honest.parse on cuda"


def attack(records):
    for each in verdicts(records):
        each["device"] = "cuda"
    return sealed(records)
