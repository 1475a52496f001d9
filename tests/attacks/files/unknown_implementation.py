"""Judge an implementation that the header does not know."""

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    return sealed([*records, {**verdicts(records)[0], "implementation": "rig/nobody"}])
