"""Claim a version of the schema that is a truth value, a text, or of the far future."""

from honest import sealed

OUTCOME = "refused"


def attack(records):
    records[0]["schema"] = True
    return sealed(records)
