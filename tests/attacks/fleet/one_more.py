"""Add verdicts on an implementation of somebody else to the records of one's own shard."""

from honest import sealed, verdicts

OUTCOME = "lost: its records hold rig/somebody-else"


def attack(records):
    return sealed([*records, {**verdicts(records)[0], "implementation": "rig/somebody-else"}])
