"""Turn every failure into a pass, and seal the file anew with a valid digest."""

from honest import sealed

OUTCOME = "not prevented"


def attack(records):
    for each in records:
        if each.get("verdict") in ("fail", "error"):
            each |= {"verdict": "pass", "margin": 0.0}
    return sealed(records)
