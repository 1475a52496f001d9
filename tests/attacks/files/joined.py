"""Join two whole files into one."""

from honest import sealed

OUTCOME = "refused"


def attack(records):
    return sealed(records) * 2
