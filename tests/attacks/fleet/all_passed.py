"""Turn every failure into a pass before the records are sealed."""

from honest import sealed, verdicts

OUTCOME = "not prevented"


def attack(records):
    for each in verdicts(records):
        each |= {"verdict": "pass", "margin": 0.0}
    return sealed(records)
