"""Call a case passed whose margin says that it failed."""

from honest import sealed, verdicts

OUTCOME = "refused"


def attack(records):
    verdicts(records)[0]["margin"] = 17.0
    return sealed(records)
