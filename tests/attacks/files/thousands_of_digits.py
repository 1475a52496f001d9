"""Give a whole number of five thousand digits, which Python refuses to read."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"margin": 0.0', b'"margin": ' + b"7" * 5000)
