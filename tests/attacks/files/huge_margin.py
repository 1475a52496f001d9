"""Give a margin of four hundred digits, which is no number of a computer's."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"margin": 0.0', b'"margin": 1' + b"0" * 400)
