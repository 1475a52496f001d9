"""Judge an implementation of a system that does not exist, whose name climbs out of the folder."""

from honest import sealed, verdicts

OUTCOME = "shown"


def attack(records):
    each = verdicts(records)[0]
    return sealed([*records, {**each, "system": "..", "implementation": "../x"}])
