"""Judge one case twice, once as passed and once as failed."""

from honest import sealed, verdicts

OUTCOME = "refused"


def attack(records):
    failed = {**verdicts(records)[0], "verdict": "fail", "margin": 2.0}
    return sealed([*records, failed])
