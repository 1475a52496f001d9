"""Put lists in lists, a hundred thousand deep, into a line."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"margin": 0.0', b'"margin": ' + b"[" * 100_000 + b"]" * 100_000)
