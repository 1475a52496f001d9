"""Say "fail" and "pass" under one key, of which one reader sees the first and another the last."""

from honest import sealed_bytes

OUTCOME = "refused"


def attack(records):
    return sealed_bytes(records, b'"verdict": "pass"', b'"verdict": "fail", "verdict": "pass"')
