"""Change a verdict once the records are sealed."""

from honest import sealed

OUTCOME = "lost: "


def attack(records):
    return sealed(records).replace(b'"verdict": "pass"', b'"verdict": "fail"', 1)
