"""Run another version of the suite, whose requirements read differently."""

from honest import sealed

OUTCOME = "refused: "


def attack(records):
    records[0]["suite"] = "0.0.1"
    return sealed(records)
