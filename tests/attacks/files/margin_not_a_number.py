"""Give a margin that is not a number, which is neither above 1 nor below it."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"margin": 0.0', b'"margin": NaN')
